-- The repair of held-back records on a page, and publishing anyway: what an admin asks for, with what
-- it needs; and the records that are open before one admin, for as long as the repair lasts.

alter table app.requests
    add column detail jsonb not null default '{}',
    add column run_id text,
    add constraint detail_is_short check (length(detail::text) <= 20000),
    add constraint publishing_has_a_reason check (
        action <> 'publish' or btrim(coalesce(detail ->> 'reason', '')) <> ''
    );
create index on app.requests (subject, request_id desc);
comment on column app.requests.action is
    'run: a dataset; open: read held-back records for the asker; replay: send them again as edited;'
    ' publish: in spite of the contract';
comment on column app.requests.detail is
    'open {rule}; publish {verdict, reason}; replay {of: the request that opened the records, edited:'
    ' [[load, line, [column]]]}. Never a value of a record';
comment on column app.requests.run_id is 'The run that carries it out, as in ops.steps';
grant insert (detail) on app.requests to :admin;

create table app.held_records (
    request_id bigint not null references app.requests,
    asked_by text not null,
    load_id bigint not null,
    line_no bigint not null,
    place text not null,
    faults text not null,
    cells jsonb not null,
    edited jsonb check (edited is null or jsonb_typeof(edited) = 'object'),
    opened_at timestamptz not null default now(),
    primary key (request_id, load_id, line_no)
);
create index on app.held_records (opened_at);
comment on table app.held_records is
    'Records of quarantine that an admin opened on a page: read by that admin alone, gone when they'
    ' were sent again, closed, or a day old; never in a backup';
comment on column app.held_records.cells is
    '[[column, text, broken rules]] as they arrived, in the order of the file; no private column';
comment on column app.held_records.edited is '{column: new text}, by the admin who asked';

grant select, delete, update (edited) on app.held_records to :admin;
alter table app.held_records enable row level security;
create policy asker_alone on app.held_records to :admin
    using (asked_by = (select app.viewer_user()) and (select app.viewer_role()) = 'admin')
    with check (asked_by = (select app.viewer_user()) and (select app.viewer_role()) = 'admin');

-- A finding on the whole record holds the whole record, private columns too, also where it names the
-- column at which the record went wrong: its value is never shown.

create or replace function quality.quarantine_samples(dataset text, for_rule text, most integer default 20)
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
                        and (s.column_name is null or s.rule in ('ragged', 'unreadable'))
                ) and q.rule not in ('ragged', 'encoding', 'unreadable', 'duplicate_key') as shown
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
