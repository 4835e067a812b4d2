-- name: drop_views
-- Frees the tables of our views, and leaves alone what others made in the same schema.
DROP VIEW IF EXISTS
    analytics.cycle_time, analytics.transitions, analytics.leases, analytics.runs,
    analytics.costs, analytics.activity, analytics.issues, analytics.companies,
    analytics.visible_companies;
