-- Datasets and gold tables of which the viewer's role may read at least one column.
select
    c.table_name, c.layer, c.domain, c.name, c.title, c.grain, c.description, c.licence,
    c.key_columns, c.access ->> 'branch' as branch,
    c.access ->> 'member' as member,
    (
        select json_agg(k order by n)
        from jsonb_array_elements(c.columns) with ordinality as k_(k, n)
        where has_column_privilege(to_regclass(c.table_name), k ->> 'name', 'select')
    ) as columns
from ops.catalogue c
where to_regclass(c.table_name) is not null
  and has_any_column_privilege(to_regclass(c.table_name), 'select')
order by c.layer, c.title
