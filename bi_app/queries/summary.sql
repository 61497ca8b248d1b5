-- Figures of a table's rows by group: the first groups by an order, the others as one, all as one.
with groups as (
    select {keys}, {figures}, {whole} as whole
    from (select {picked} from {table} where {where}) as base
    {sets}
),
placed as (
    select
        groups.*,
        row_number() over (partition by whole order by {order}) as place,
        count(*) over (partition by whole) as groups
    from groups
)
select {kept}, whole, place, groups from placed where whole or place <= %(top)s
union all
select {others}, false, null, count(*) from placed where not whole and place > %(top)s
having count(*) > 0
order by whole, place
