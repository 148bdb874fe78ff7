-- Results of one tenant, the latest run of each, in the order of the table's key, so that they are read as they lie and
-- never sorted in memory. The columns and a limit come from connectors/clickhouse/exporter.py.
SELECT
    {columns}
FROM results AS r FINAL
WHERE r.tenant = {tenant:String}
    AND r.id > {after:String}
    AND (r.id <= {upto:String} OR {upto:String} = '')
    AND r.completed_at >= {since:DateTime64(3, 'UTC')}
    AND r.completed_at < {until:DateTime64(3, 'UTC')}
    AND (r.template = {template:String} OR {template:String} = '')
    AND (r.status = {status:String} OR {status:String} = '')
ORDER BY r.tenant, r.id
{limit}
SETTINGS do_not_merge_across_partitions_select_final = 0
