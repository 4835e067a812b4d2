-- name: comments
-- Comments by id, deleted ones too, without their texts.
SELECT comment_id, issue_id, author, text_position, text_sha256, created_position, created_at, edited_at,
       deleted_at
FROM comments
WHERE company_id = $1 AND comment_id = ANY ($2::uuid[]);

-- name: save_comments
-- Comments as they now are. Each comes with a text, unless it was deleted.
INSERT INTO comments (
    company_id, comment_id, issue_id, author, text_position, text_sha256, created_position, created_at,
    edited_at, deleted_at, body
)
SELECT $1, c.comment_id, c.issue_id, c.author, c.text_position, c.text_sha256, c.created_position, c.created_at,
       c.edited_at, c.deleted_at, c.body
FROM unnest(
    $2::uuid[], $3::uuid[], $4::text[], $5::bigint[], $6::text[], $7::bigint[],
    $8::timestamptz[], $9::timestamptz[], $10::timestamptz[], $11::text[]
) AS c (
    comment_id, issue_id, author, text_position, text_sha256, created_position, created_at,
    edited_at, deleted_at, body
)
ON CONFLICT (company_id, comment_id) DO UPDATE SET
    text_position = excluded.text_position,
    text_sha256 = excluded.text_sha256,
    edited_at = excluded.edited_at,
    deleted_at = excluded.deleted_at,
    body = excluded.body;
