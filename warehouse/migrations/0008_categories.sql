-- What kind of fault each failure was, and all failures in one place.

create domain ops.category text
    check (value in ('source', 'schema', 'validation', 'load', 'infrastructure'));
comment on domain ops.category is
    'source: not there or unreadable; schema: not of the declared shape; validation: the contract'
    ' does not hold; load: the database refused the rows; infrastructure: server, disk, setting';
alter table ops.loads add column category ops.category;
alter table ops.steps add column category ops.category;

create view ops.failures with (security_invoker) as
select ended_at as at, run_id, dataset, step, category, message
from ops.steps where state = 'failed'
union all
select judged_at, run_id, dataset, 'contract',
    case outcome when 'failed' then 'validation' else 'infrastructure' end, message
from quality.verdicts where outcome <> 'passed';
comment on view ops.failures is 'Steps that failed and contracts that did not hold, by category';
grant select on ops.failures to :admin, :librarian;
