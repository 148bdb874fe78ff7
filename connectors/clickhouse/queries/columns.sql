-- Columns that a mapping view fills and its table lacks (`kept` is empty then), or has with another type. ClickHouse leaves
-- out what a table lacks, and rounds or wraps what does not fit, without a word. A table of which no column is seen, for
-- want of rights, says nothing.
SELECT of_table AS table, name, filled, kept
FROM
(
    SELECT
        replaceOne(table, '_mapping', '') AS of_table,
        name,
        anyIf(type, endsWith(table, '_mapping')) AS filled,
        anyIf(type, NOT endsWith(table, '_mapping')) AS kept
    FROM system.columns
    WHERE database = {database:String}
    GROUP BY of_table, name
)
WHERE filled != '' AND filled != kept
    AND of_table IN (SELECT table FROM system.columns WHERE database = {database:String})
ORDER BY table, name
