-- title: Events that came too late
-- description: Late events by day of sale: how many, how late, and how many were folded in since
select
    l.sold_at::date as day,
    count(*) as late,
    count(l.folded_at) as folded_in,
    max(l.late_by) as latest_by
from silver.retail_sales_late l
group by 1
order by 1 desc
