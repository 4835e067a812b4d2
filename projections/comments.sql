-- name: comments
-- Comments by id, deleted ones too, without their texts.
SELECT c.comment_id, c.issue_id, c.author, c.text_position, c.text_sha256, c.created_position,
       c.created_at, c.edited_at, c.deleted_at
FROM unnest($2::uuid[]) AS asked (comment_id)
CROSS JOIN LATERAL (
    SELECT * FROM comments AS c
    WHERE c.company_id = $1
      AND c.comment_id = asked.comment_id
    OFFSET 0
) AS c;

-- name: save_comments
-- Comments as they now are. Each comes with a text, unless it was deleted.
INSERT INTO comments (
    company_id, comment_id, issue_id, author, text_position, text_sha256, created_position, created_at,
    edited_at, deleted_at, body
)
SELECT $1, c.*
FROM ROWS FROM (
    jsonb_to_recordset($2) AS (
        id uuid, issue_id uuid, author text, text_position bigint, text_sha256 text,
        created_position bigint, created_at timestamptz, edited_at timestamptz,
        deleted_at timestamptz
    ),
    unnest($3::text[])
) AS c
ON CONFLICT (company_id, comment_id) DO UPDATE SET
    text_position = excluded.text_position,
    text_sha256 = excluded.text_sha256,
    edited_at = excluded.edited_at,
    deleted_at = excluded.deleted_at,
    body = excluded.body;
