-- What the attempts from one key to another are billed with, each once.
SELECT tenant, id, run, attempt, sum(cost_usd) AS usd
FROM calls FINAL
WHERE (tenant, id, run, attempt)
        >= ({first_tenant:String}, {first_id:String}, {first_run:UInt32}, {first_attempt:UInt32})
    AND (tenant, id, run, attempt)
        <= ({last_tenant:String}, {last_id:String}, {last_run:UInt32}, {last_attempt:UInt32})
    AND tenant >= {first_tenant:String} AND tenant <= {last_tenant:String}
    AND at >= toDateTime64({since:String}, 3, 'UTC')
GROUP BY tenant, id, run, attempt
