-- How fresh the tables are, what the contracts of their sources last said, and their health score.
with asked as (
    select table_name, published_at, complete_to, sources
    from ops.publications
    where table_name = any(%(tables)s::text[])
),
read as (
    select distinct s as dataset
    from unnest(coalesce(%(datasets)s::text[], '{{}}') || array(
        select t from asked, unnest(sources) as t
    )) as s
),
latest as (
    select v.dataset, v.outcome, v.checks, v.passed, o.verdict_id is not null as published_anyway
    from read
    cross join lateral (
        select * from quality.verdicts where dataset = read.dataset
        order by verdict_id desc limit 1
    ) as v
    left join quality.overrides o on o.verdict_id = v.verdict_id
),
scored as (
    select s.score, s.weight
    from read
    cross join lateral (
        select score, weight from quality.scores
        where level = 'dataset' and subject = read.dataset order by score_id desc limit 1
    ) as s
)
select
    (select min(complete_to) from asked) as complete_to,
    (select max(published_at) from asked) as published_at,
    (select floor(sum(score * weight) / nullif(sum(weight), 0)) from scored)::int as quality,
    (select sum(checks) from latest)::int as checks,
    (select sum(passed) from latest)::int as passed,
    (select array_agg(dataset order by dataset) from latest
        where outcome <> 'passed' and not published_anyway) as held_back,
    (select array_agg(dataset order by dataset) from latest where published_anyway)
        as published_anyway
