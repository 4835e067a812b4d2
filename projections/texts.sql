-- name: save_texts
-- The words of texts as they now are, each with the company's id among them.
INSERT INTO issue_texts (company_id, issue_id, part, words)
SELECT $1, t.issue_id, t.part,
       to_tsvector('english', t.text) || array_to_tsvector(ARRAY[$1::uuid::text])
FROM unnest($2::uuid[], $3::text[], $4::text[]) AS t (issue_id, part, text)
ON CONFLICT (company_id, issue_id, part) DO UPDATE SET words = excluded.words;

-- name: delete_texts
-- Takes texts away.
DELETE FROM issue_texts AS t
USING unnest($2::uuid[], $3::text[]) AS gone (issue_id, part)
WHERE t.company_id = $1 AND t.issue_id = gone.issue_id AND t.part = gone.part;
