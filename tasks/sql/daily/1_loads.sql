-- title: Loads of the last 24 hours
with loads as (
    select
        started_at > now() - interval '1 day' as lately,
        count(*) filter (where state in ('done', 'unchanged')) as went_well,
        count(*) filter (where state = 'failed') as failed,
        sum(rows_inserted + rows_updated) as taken,
        sum(rows_quarantined) as quarantined,
        string_agg(distinct dataset, ', ' order by dataset) filter (where state = 'failed') as which
    from ops.loads
    where started_at > now() - interval '2 days'
    group by 1
)
select f.figure, f.now::numeric as value, f.earlier::numeric as earlier, f.look, f.note
from (select 1) one
left join loads l on l.lately
left join loads b on not b.lately
cross join lateral (
    values
        ('loads that went well', coalesce(l.went_well, 0), coalesce(b.went_well, 0), false, ''),
        (
            'loads that failed', coalesce(l.failed, 0), coalesce(b.failed, 0),
            coalesce(l.failed, 0) > 0, coalesce(l.which, '')
        ),
        ('rows taken in', coalesce(l.taken, 0), coalesce(b.taken, 0), false, ''),
        (
            'rows put into quarantine', coalesce(l.quarantined, 0), coalesce(b.quarantined, 0),
            false, ''
        )
) f (figure, now, earlier, look, note)
