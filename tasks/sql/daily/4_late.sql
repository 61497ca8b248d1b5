-- title: Late sales
select
    'late sales not folded in' as figure,
    count(*)::numeric as value,
    null::numeric as earlier,
    count(*) > 0 as look,
    case when count(*) > 0 then '`carrel stream restate` folds them in' else '' end as note
from silver.retail_sales_late
where folded_at is null
