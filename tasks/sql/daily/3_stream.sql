-- title: The stream
select f.figure, f.value, null::numeric as earlier, f.look, f.note
from (
    select
        p.stream,
        sum(p.events) as events,
        sum(p.late) as late,
        sum(p.duplicates) as duplicates,
        sum(p.quarantined) as quarantined,
        max(p.moved_at) as moved_at,
        count(*) filter (where p.held_until > now() is not true) as unread,
        count(*) as partitions
    from ops.stream_partitions p
    group by p.stream
) s
cross join lateral (
    values
        (1, s.stream || ': events so far', s.events, false, ''),
        (2, s.stream || ': late', s.late, false, ''),
        (3, s.stream || ': duplicates dropped', s.duplicates, false, ''),
        (4, s.stream || ': in quarantine', s.quarantined, false, ''),
        (
            5, s.stream || ': minutes since the last event', round(
                extract(epoch from now() - s.moved_at) / 60
            ), false, ''
        ),
        (
            6, s.stream || ': partitions nobody reads', s.unread, false,
            case when s.unread > 0 then 'of ' || s.partitions else '' end
        )
) f (place, figure, value, look, note)
order by s.stream, f.place
