-- What was answered without a call since a time, by template.
SELECT
    template,
    count() AS completed,
    countIf(cached = 'exact') AS exact,
    countIf(cached = 'semantic') AS semantic,
    countIf(cached = 'coalesced') AS coalesced,
    sum(r.saved_usd) AS saved_usd,
    sumIf(cache_age_s, cached IN ('exact', 'semantic')) AS age_s
FROM results AS r FINAL
WHERE tenant = {tenant:String} AND status = 'completed' AND completed_at >= {since:DateTime64(3, 'UTC')}
GROUP BY template
ORDER BY completed DESC, template
