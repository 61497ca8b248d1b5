-- How fresh the tables are, and what the contracts of their sources last said.
with asked as (
    select table_name, published_at, complete_to, sources
    from ops.publications
    where table_name = any(%(tables)s::text[])
),
latest as (
    select distinct on (dataset) dataset, outcome, checks, passed, judged_at
    from quality.verdicts
    where dataset = any(coalesce(%(datasets)s::text[], '{{}}') || array(
        select distinct s from asked, unnest(sources) as s
    ))
    order by dataset, verdict_id desc
)
select
    (select min(complete_to) from asked) as complete_to,
    (select max(published_at) from asked) as published_at,
    (select round(100.0 * sum(passed) / nullif(sum(checks), 0)) from latest)::int as quality,
    (select sum(checks) from latest)::int as checks,
    (select sum(passed) from latest)::int as passed,
    (select array_agg(dataset order by dataset) from latest where outcome <> 'passed') as held_back
