"""A process of ours in small: serves 200 on every path of the given port, with two lag gauges."""

import http.server
import sys
import time


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(
            b'structured_prompt_consumer_lag{topic="a",partition="0"} 3\nstructured_prompt_consumer_lag 4.0\n'
        )

    def log_message(self, *_: object) -> None:
        pass


if sys.argv[1:2] == ["--fail"]:
    sys.exit("no luck")
if sys.argv[1:2] == ["--never-ready"]:
    time.sleep(60)
sys.stdout.write("serving\n")
sys.stdout.flush()
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
