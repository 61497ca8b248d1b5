-- The steps of a run, in order.
select dataset, step, state, started_at, ended_at, rows, message
from ops.steps
where run_id = %(run_id)s
order by step_id
limit 2000
