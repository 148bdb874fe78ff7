-- One number that changes with any column of what a batch goes through: asked for with each batch, it must cost little.
SELECT toString(groupBitXor(cityHash64(table, name, type))) AS shape
FROM system.columns
WHERE database = {database:String}
    AND table IN ('results', 'calls', 'events', 'results_mapping', 'calls_mapping', 'events_mapping')
