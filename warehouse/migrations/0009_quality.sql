-- Quality that people act on: how much each check matters, what became of each run, every measured
-- value by dataset, check, run and day, a health score with its formula, and figures that a person
-- published in spite of their contract.

alter table quality.verdicts
    add column warnings integer not null default 0,
    add column day date;
update quality.verdicts v set day = coalesce(
    (select l.started_at from ops.loads l where l.load_id = v.load_id), v.judged_at)::date;
alter table quality.verdicts
    alter column day set not null, alter column day set default current_date;
comment on column quality.verdicts.outcome is
    'passed: every check was measured and no critical one failed; failed: a critical one did not'
    ' hold; error: one could not be measured. Gold is published of passed only';
comment on column quality.verdicts.warnings is 'Checks of severity warning that did not hold';
comment on column quality.verdicts.day is 'Day of the load that was judged, in the time zone of'
    ' the setting CARREL_TIMEZONE';

alter table quality.results
    add column severity text not null default 'critical'
        check (severity in ('info', 'warning', 'critical')),
    add column part text not null default 'rules';
comment on column quality.results.severity is
    'What follows when it does not hold: critical: gold is held back; warning: published, and the'
    ' run says so; info: kept and shown';
comment on column quality.results.part is 'The part of the health score that it counts in';

create view quality.history with (security_invoker) as
select v.dataset, r.name, r.column_name, r.check_type, r.part, r.severity, v.verdict_id, v.run_id,
    v.load_id, v.day, v.judged_at, r.outcome, r.measured, r.threshold
from quality.verdicts v join quality.results r using (verdict_id);
comment on view quality.history is
    'Every measured value by dataset, check, run and partition (the load and the day it is of)';
grant select on quality.history to :admin, :librarian;

-- Publish anyway: a person's act, for one verdict only.

create table quality.overrides (
    verdict_id bigint primary key references quality.verdicts,
    dataset text not null,
    who text not null,
    reason text not null check (btrim(reason) <> ''),
    at timestamptz not null default clock_timestamp(),
    actor text not null default session_user
);
create index on quality.overrides (dataset, at desc);
comment on table quality.overrides is
    'Who published figures in spite of which verdict, when and why';
grant select on quality.overrides to :admin, :librarian;
grant select (verdict_id, dataset, at) on quality.overrides to :member;

-- Rows that name what is not there: counts, and keys that are not private.

create table quality.lost_keys (
    verdict_id bigint not null,
    name text not null,
    rows bigint not null,
    samples text[] not null default '{}',
    primary key (verdict_id, name),
    foreign key (verdict_id, name) references quality.results (verdict_id, name) on delete cascade
);
comment on table quality.lost_keys is
    'For each reference that did not lead to a row: how many rows, and some of the keys';
comment on column quality.lost_keys.samples is 'Commonest keys first; empty where they are private';
grant select on quality.lost_keys to :admin;

-- Scores.

create table quality.scores (
    score_id bigint generated always as identity primary key,
    at timestamptz not null default clock_timestamp(),
    run_id text,
    verdict_id bigint references quality.verdicts on delete cascade,
    level text not null check (level in ('dataset', 'pipeline', 'whole')),
    subject text not null,
    score numeric(5, 2) not null check (score between 0 and 100),
    weight double precision not null,
    formula text not null,
    parts jsonb not null
);
create index on quality.scores (level, subject, score_id desc);
create index on quality.scores (run_id);
comment on table quality.scores is
    'Health scores, 0 to 100, with formula, weights and parts; the newest of a subject is its own';
comment on column quality.scores.subject is 'A dataset, a group of datasets, or all';
comment on column quality.scores.weight is 'Weight of the subject in the score above it';
comment on column quality.scores.parts is
    'Of a dataset [{part, weight, score, checks, held, lost: [names]}]; else [{dataset, weight,'
    ' score}]';
grant select on quality.scores to :admin, :librarian;
grant select (score_id, at, run_id, verdict_id, level, subject, score, weight, formula)
    on quality.scores to :member;

-- What became of each dataset's newest run.

create view quality.outcomes with (security_invoker) as
select
    d.name as dataset,
    case
        when f.ended_at > coalesce(v.judged_at, '-infinity') then 'failed to run'
        when v.outcome = 'passed' and v.warnings = 0 then 'trusted'
        when v.outcome = 'passed' or o.verdict_id is not null then 'warnings'
        else 'held back'
    end as outcome,
    greatest(v.judged_at, f.ended_at) as at,
    case when f.ended_at > coalesce(v.judged_at, '-infinity') then f.message else v.message end
        as message,
    v.verdict_id, v.outcome as contract, v.checks, v.passed, v.warnings, v.load_id, v.day,
    v.judged_at, o.who as published_by, o.reason as published_because, o.at as published_anyway_at
from ops.catalogue d
left join lateral (
    select * from quality.verdicts where dataset = d.name order by verdict_id desc limit 1
) v on true
left join lateral (
    select ended_at, message from ops.steps
    where dataset = d.name and state = 'failed' order by step_id desc limit 1
) f on true
left join quality.overrides o on o.verdict_id = v.verdict_id
where d.layer = 'silver' and (v.verdict_id is not null or f.ended_at is not null);
comment on view quality.outcomes is
    'What became of the newest run of each dataset: trusted, warnings (published by a rule or by'
    ' the person in published_by), held back (gold is that of before) or failed to run';
grant select on quality.outcomes to :admin, :librarian;
