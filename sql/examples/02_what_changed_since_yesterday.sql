-- Question: What is different from yesterday, and why?
-- Answer: who entered, left, rose or fell, with the evidence families that moved the score.
SELECT change, subject_kind, id, rank_then, rank_now, round(score_now - score_then, 2) AS score_change, why
FROM changed_since((SELECT max(as_of) - INTERVAL 1 DAY FROM runs));
