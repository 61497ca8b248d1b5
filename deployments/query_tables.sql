-- Tables of which the viewer may read at least one column: what they hold, and those columns.
select
    t.oid::regclass::text as table_name,
    coalesce(c.title, obj_description(t.oid, 'pg_class'), '') as meaning,
    coalesce(c.grain, '') as grain,
    (
        select array_agg(
            array[
                a.attname::text,
                format_type(a.atttypid, a.atttypmod),
                coalesce(
                    (
                        select k ->> 'meaning'
                        from jsonb_array_elements(c.columns) as k
                        where k ->> 'name' = a.attname
                    ),
                    col_description(t.oid, a.attnum),
                    ''
                )
            ]
            order by a.attnum
        )
        from pg_attribute a
        where a.attrelid = t.oid and a.attnum > 0 and not a.attisdropped
            and has_column_privilege(t.oid, a.attnum, 'select')
    ) as columns
from pg_class t
join pg_namespace n on n.oid = t.relnamespace
left join ops.catalogue c on c.table_name = n.nspname || '.' || t.relname
where t.relkind in ('r', 'p', 'v', 'm') and not t.relispartition
    and n.nspname in ('gold', 'silver', 'quality', 'ops', 'app', 'audit')
    and has_schema_privilege(n.oid, 'usage')
    and has_any_column_privilege(t.oid, 'select')
order by array_position(array['gold', 'silver'], n.nspname::text) nulls last, 1
