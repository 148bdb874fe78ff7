-- Columns that a mapping view fills and its table lacks: ClickHouse leaves them out without a word. A table of which no
-- column is seen, for want of rights, says nothing.
SELECT concat(filled.name_of_table, '.', filled.name) AS name
FROM
(
    SELECT replaceOne(table, '_mapping', '') AS name_of_table, name
    FROM system.columns
    WHERE database = {database:String} AND endsWith(table, '_mapping')
) AS filled
WHERE (filled.name_of_table, filled.name) NOT IN (SELECT table, name FROM system.columns WHERE database = {database:String})
    AND filled.name_of_table IN (SELECT table FROM system.columns WHERE database = {database:String})
ORDER BY name
