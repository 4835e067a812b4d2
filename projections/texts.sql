-- name: save_texts
-- The words of texts as they now are, each with the company's id among them.
INSERT INTO issue_texts (company_id, issue_id, part, words)
SELECT $1, t.issue_id, t.part,
       to_tsvector('english', t.text) || array_to_tsvector(ARRAY[$1::uuid::text])
FROM jsonb_to_recordset($2) AS t (issue_id uuid, part text, text text)
ON CONFLICT (company_id, issue_id, part) DO UPDATE SET words = excluded.words;

-- name: delete_texts
-- Takes texts away.
DELETE FROM issue_texts AS t
USING jsonb_to_recordset($2) AS gone (issue_id uuid, part text)
WHERE t.company_id = $1 AND t.issue_id = gone.issue_id AND t.part = gone.part;
