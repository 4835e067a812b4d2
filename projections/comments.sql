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

