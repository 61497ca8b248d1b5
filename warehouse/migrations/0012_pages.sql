-- What people ask the pipelines to do, from a page; and what staff may see of quarantine.

alter table app.requests
    add constraint request_state check (state in ('open', 'done', 'failed'));
create index on app.requests (request_id) where state = 'open';
grant select on app.requests to :admin;
create policy admin_reads on app.requests for select to :admin
    using ((select app.viewer_role()) = 'admin');

create function app.request_asked() returns trigger
language plpgsql set search_path = pg_catalog as $$
begin
    notify carrel_requests;
    return null;
end $$;
create trigger asked after insert on app.requests
    for each statement execute function app.request_asked();

-- Quarantine stays closed. Staff get counts by rule; an admin gets values too, but never one of a
-- private column, nor any of a record whose shape is at fault, where columns may have slipped.

-- The few failures among many steps, by dataset and by time.
create index on ops.steps (dataset, step_id desc) where state = 'failed';
create index on ops.steps (ended_at) where state = 'failed';
create index on quality.verdicts (judged_at) where outcome <> 'passed';

create function quality.known_dataset(dataset text) returns boolean
language sql stable set search_path = pg_catalog as $$
    select exists (select from ops.catalogue c where c.layer = 'silver' and c.name = dataset)
        and to_regclass(format('quarantine.%I', dataset)) is not null
$$;

create function quality.quarantine_rules(dataset text, loads integer default 30)
returns table (
    rule text, column_name text, severity text, records bigint, newest bigint,
    first_at timestamptz, last_at timestamptz
)
language plpgsql stable security definer set search_path = pg_catalog as $$
begin
    if coalesce(app.viewer_role(), '') not in ('admin', 'librarian')
        or not quality.known_dataset(dataset) then
        return;
    end if;
    return query execute format($query$
        with recent as (
            select l.load_id, l.started_at from ops.loads l
            where l.dataset = %L and l.state = 'done' order by l.load_id desc limit $1
        ),
        newest as (select max(load_id) as load_id from recent)
        select q.rule, q.column_name, max(q.severity), count(distinct (q.load_id, q.record_no)),
            count(distinct q.record_no) filter (where q.load_id = (select load_id from newest)),
            min(r.started_at), max(r.started_at)
        from quarantine.%I q join recent r using (load_id)
        where not exists (select from ops.replays p
            where (p.from_load, p.from_line) = (q.load_id, q.line_no))
        group by q.rule, q.column_name
        order by 4 desc, 1, 2
    $query$, dataset, dataset) using loads;
end $$;
comment on function quality.quarantine_rules is
    'Records held back by rule and column in the newest loads and not sent again, for staff';

create function quality.quarantine_samples(dataset text, for_rule text, most integer default 20)
returns table (
    load_id bigint, path text, line_no bigint, rule text, column_name text, value text,
    hidden boolean, at timestamptz
)
language plpgsql stable security definer set search_path = pg_catalog as $$
begin
    if app.viewer_role() is distinct from 'admin' or not quality.known_dataset(dataset) then
        return;
    end if;
    return query execute format($query$
        with open as (
            select k ->> 'name' as name
            from ops.catalogue c, jsonb_array_elements(c.columns) as k
            where c.layer = 'silver' and c.name = %L and k ->> 'privacy' is null
        ),
        found as (
            select q.*, l.started_at, f.path as file,
                q.column_name in (select name from open) and not exists (
                    select from quarantine.%I s
                    where (s.load_id, s.record_no) = (q.load_id, q.record_no)
                        and s.column_name is null
                ) as shown
            from quarantine.%I q
            join ops.loads l on l.load_id = q.load_id
            left join ops.files f on f.file_id = q.file_id
            where ($1 is null or q.rule = $1)
                and not exists (select from ops.replays p
                    where (p.from_load, p.from_line) = (q.load_id, q.line_no))
            order by q.load_id desc, q.record_no
            limit least($2, 200)
        )
        select load_id, regexp_replace(file, '^.*/', ''), line_no, rule, column_name,
            case when shown then value end,
            value is not null and not coalesce(shown, false), started_at
        from found order by load_id desc, line_no
    $query$, dataset, dataset, dataset) using for_rule, most;
end $$;
comment on function quality.quarantine_samples is
    'Findings of the newest loads, for admins; values of private columns are never shown';

revoke all on function quality.known_dataset, quality.quarantine_rules, quality.quarantine_samples,
    app.request_asked from public;
grant execute on function quality.quarantine_rules to :admin, :librarian;
grant execute on function quality.quarantine_samples to :admin;
