-- title: Stock by year
-- grain: one row a branch, collection and year
-- key: branch_code, collection_code, year
-- access: branch=branch_code
-- description: Copies added and withdrawn in each calendar year and held at its end, or on the day of the newest event where the year still runs; for annual returns (KPIS 28). Copies whose day of acquisition is unknown count as held, and as added in no year.
-- column branch_code: Branch that the copies belong to
-- column collection_code: Collection
-- column year: Calendar year
-- column added: Copies added in the year
-- column withdrawn: Copies withdrawn in the year
-- column held: Copies held at the end of the year
with years as (
    select
        y.year,
        least(make_date(y.year, 12, 31), y.newest) as ends_on
    from (
        select generate_series(
            extract(year from min(c.day))::integer, extract(year from max(c.day))::integer
        ) as year, max(c.day) as newest
        from gold.library_circulation c
    ) y
)
select
    u.branch_code,
    u.collection_code,
    y.year,
    (count(*) filter (where extract(year from u.acquired_on) = y.year))::integer as added,
    (count(*) filter (where extract(year from i.withdrawn_on) = y.year))::integer as withdrawn,
    (count(*) filter (
        where (u.acquired_on is null or u.acquired_on <= y.ends_on)
        and (i.withdrawn_on is null or i.withdrawn_on > y.ends_on)
    ))::integer as held
from gold.library_item_use u
join silver.library_items i on i.source_code = u.source_code and i.item_code = u.item_code
cross join years y
group by 1, 2, 3
