-- title: Titles to buy more of
-- description: Titles with at least so many holds for each copy that is held or on order
-- parameter ratio: number = 3: Holds for each copy
select p.title, p.author, p.holds, p.copies, p.on_order, round(p.ratio::numeric, 1) as ratio, p.oldest_on
from gold.library_purchase_alert p
where p.ratio >= %(ratio)s::numeric or p.ratio is null
order by p.ratio desc nulls first, p.holds desc, p.title
