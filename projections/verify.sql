-- name: end
-- Where the company's head says that the log ends.
SELECT head, last_at FROM ledger.company_heads WHERE company_id = $1;

-- name: companies
-- Every company with a head that is not before the first event, or with an event; the log is
-- asked by hopping from one company's first event to the next one's.
WITH RECURSIVE logged (company_id) AS (
    (SELECT company_id FROM ledger.events ORDER BY company_id LIMIT 1)
    UNION ALL
    SELECT (
        SELECT e.company_id FROM ledger.events AS e
        WHERE e.company_id > logged.company_id
        ORDER BY e.company_id LIMIT 1
    )
    FROM logged
    WHERE logged.company_id IS NOT NULL
)
SELECT company_id FROM logged WHERE company_id IS NOT NULL
UNION
SELECT company_id FROM ledger.company_heads WHERE head > 0
ORDER BY company_id;
