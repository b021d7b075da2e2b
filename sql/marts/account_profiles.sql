-- What: every feature of an account; the unit is in the name.
-- Grain: account. Owner: trust-and-safety. Audits: every_account_is_profiled.
SELECT p.* FROM staged_profiles AS p ORDER BY p.account_id
