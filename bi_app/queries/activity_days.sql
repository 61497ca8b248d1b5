-- People who opened a page, by day and role, with the days without any.
select d.day::date as day, coalesce(v.people, 0) as people, coalesce(v.admins, 0) as admins,
    coalesce(v.librarians, 0) as librarians, coalesce(v.members, 0) as members
from generate_series(
    date_trunc('day', now() at time zone %(zone)s) - make_interval(days => %(days)s - 1),
    date_trunc('day', now() at time zone %(zone)s), interval '1 day'
) as d (day)
left join (
    select date_trunc('day', at at time zone %(zone)s) as day,
        count(distinct who)::integer as people,
        count(distinct who) filter (where role = 'admin')::integer as admins,
        count(distinct who) filter (where role = 'librarian')::integer as librarians,
        count(distinct who) filter (where role = 'member')::integer as members
    from audit.entries
    where act = 'view' and door = 'page' and at > now() - make_interval(days => %(days)s + 1)
    group by 1
) v using (day)
order by 1
