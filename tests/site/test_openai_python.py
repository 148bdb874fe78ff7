"""OpenAI's client for Python: the program of docs/openai.md as it stands. tests/api/test_openai.py asks it the rest."""

import asyncio
import sys

from tests.api.served import served
from tests.site.test_openai_node import ADDRESS, KEY
from tests.site.test_snippets import python_of


async def test_the_program_of_the_page_has_the_answer() -> None:
    async with served() as door:
        text = python_of("openai.md").replace(ADDRESS, str(door.client.base_url)).replace(KEY, door.issued.secret)
        told = "\nprint(answer.choices[0].message.content)"
        program = await asyncio.create_subprocess_exec(
            sys.executable, "-c", text + told, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
        )
        said, complained = await program.communicate()
    assert said.decode() == "On its way.\n", complained.decode()
