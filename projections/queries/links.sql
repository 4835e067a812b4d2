-- name: to_issue
-- Events that link other issues to one, or take such a link away, between two positions, newest
-- first. Reads so many of each type from the activity, up to where that is, and the log after that.
SELECT company_id, position, stream_id, version, event_id, type, schema_version,
       actor_type, actor_id, on_behalf_of, key_id, command_id, correlation_id, causation_id,
       run_id, recorded_at, occurred_at, via, data, salt, data_hash, leaf
FROM events
WHERE company_id = $1
  AND position IN (
      (
          SELECT a.position
          FROM activity AS a
          WHERE a.company_id = $1
            AND (a.type, a.position) > ('issue.linked', $3)
            AND (a.type, a.position) <= ('issue.linked', least($4, $5::bigint))
          ORDER BY a.type DESC, a.position DESC
          LIMIT $6
      )
      UNION ALL
      (
          SELECT a.position
          FROM activity AS a
          WHERE a.company_id = $1
            AND (a.type, a.position) > ('issue.unlinked', $3)
            AND (a.type, a.position) <= ('issue.unlinked', least($4, $5::bigint))
          ORDER BY a.type DESC, a.position DESC
          LIMIT $6
      )
      UNION ALL
      (
          SELECT e.position
          FROM events AS e
          WHERE e.company_id = $1 AND e.type IN ('issue.linked', 'issue.unlinked')
            AND e.position > greatest($3, $5::bigint, $4 - $6::bigint) AND e.position <= $4
      )
  )
  AND data ->> 'target_id' = $2::uuid::text
ORDER BY position DESC;

-- name: are_all_read
-- Whether `to_issue` reads all that there is between the two positions.
SELECT greatest($2, $4::bigint) >= $3 - $5::bigint
   AND NOT EXISTS (
       SELECT FROM activity
       WHERE company_id = $1
         AND (type, position) > ('issue.linked', $2)
         AND (type, position) <= ('issue.linked', least($3, $4::bigint))
       ORDER BY type DESC, position DESC
       OFFSET $5 LIMIT 1
   )
   AND NOT EXISTS (
       SELECT FROM activity
       WHERE company_id = $1
         AND (type, position) > ('issue.unlinked', $2)
         AND (type, position) <= ('issue.unlinked', least($3, $4::bigint))
       ORDER BY type DESC, position DESC
       OFFSET $5 LIMIT 1
   );
