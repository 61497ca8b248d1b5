-- Alerts: what is wrong, since when, and who is on it; every change of state on record; and the
-- outbox from which mails and webhooks go.

create table quality.alerts (
    alert_id bigint generated always as identity primary key,
    cause text not null unique,
    kind text not null check (kind in ('contract', 'anomaly', 'step', 'late')),
    dataset text,
    title text not null,
    severity text not null check (severity in ('info', 'warning', 'critical')),
    category ops.category,
    state text not null default 'open'
        check (state in ('open', 'acknowledged', 'assigned', 'resolved')),
    episode integer not null default 1,
    times integer not null default 1,
    times_ever integer not null default 1,
    first_at timestamptz not null default clock_timestamp(),
    opened_at timestamptz not null default clock_timestamp(),
    last_at timestamptz not null default clock_timestamp(),
    run_id text,
    acknowledged_at timestamptz,
    acknowledged_by text,
    assignee text,
    resolved_at timestamptz,
    resolved_by text,
    reason text check (reason in ('fixed', 'accepted', 'false alarm', 'duplicate', 'passed')),
    snoozed_until timestamptz,
    changed_by text not null default 'carrel',
    note text check (length(note) <= 2000),
    constraint acknowledged_by_whom check (
        state <> 'acknowledged' or (acknowledged_by is not null and acknowledged_at is not null)
    ),
    constraint assigned_to_whom check (state <> 'assigned' or assignee is not null),
    constraint resolved_why check (
        (state = 'resolved') = (resolved_at is not null)
        and (state = 'resolved') = (reason is not null)
        and (state = 'resolved') = (resolved_by is not null)
    )
);
create index on quality.alerts (state, opened_at);
create index on quality.alerts (dataset);
comment on table quality.alerts is
    'One row a cause, for ever: a cause that comes back re-opens its alert';
comment on column quality.alerts.cause is
    'data:<dataset>, load:<dataset>, late:<group>, infrastructure, or publish';
comment on column quality.alerts.severity is 'The worst of the parts that stand';
comment on column quality.alerts.episode is 'How often it was opened';
comment on column quality.alerts.times is 'How often it was seen since it was opened last';
comment on column quality.alerts.opened_at is 'When it was opened last; its age counts from here';
comment on column quality.alerts.changed_by is
    'Who changed it last, and in `note` why; both go into alert_events';

create table quality.alert_parts (
    alert_id bigint not null references quality.alerts,
    what text not null check (what in ('check', 'step', 'anomaly', 'late', 'gold', 'dataset')),
    name text not null,
    severity text check (severity in ('info', 'warning', 'critical')),
    detail text,
    dataset text,
    since timestamptz not null default clock_timestamp(),
    last_at timestamptz not null default clock_timestamp(),
    run_id text,
    passes smallint not null default 0,
    until timestamptz,
    primary key (alert_id, what, name)
);
comment on table quality.alert_parts is
    'What an alert is made of: checks, steps, anomalies, late datasets; and what they hold back'
    ' (gold, dataset)';
comment on column quality.alert_parts.passes is 'Times that it passed in a row; at two it is over';
comment on column quality.alert_parts.until is 'When it was over; null while it stands';

create table quality.alert_events (
    event_id bigint generated always as identity primary key,
    alert_id bigint not null references quality.alerts,
    at timestamptz not null default clock_timestamp(),
    who text not null,
    action text not null,
    from_state text,
    to_state text not null,
    note text
);
create index on quality.alert_events (alert_id, event_id);
comment on table quality.alert_events is 'Every change of every alert; rows are only ever added';

create table quality.alert_sources (
    source text not null check (source in ('verdict', 'step', 'anomaly')),
    id text not null,
    considered_at timestamptz not null default clock_timestamp(),
    primary key (source, id)
);
create index on quality.verdicts (judged_at);
create index on ops.steps (ended_at);
comment on table quality.alert_sources is
    'What was looked at already, so that nothing is counted twice and nothing is missed';

create table quality.alert_watches (
    one smallint primary key check (one = 1),
    since timestamptz not null,
    seen_at timestamptz not null
);
comment on table quality.alert_watches is
    'Since when somebody has been looking without a gap: what fell due while nobody looked (the'
    ' machine was off) is given time to be made up for';

-- The outbox ----------------------------------------------------------------------------------------

create table quality.notices (
    notice_id bigint generated always as identity primary key,
    alert_id bigint not null references quality.alerts,
    episode integer not null,
    severity text not null,
    occasion text not null check (occasion in ('opened', 're-opened', 'escalated')),
    at timestamptz not null default clock_timestamp(),
    unique (alert_id, episode, severity)
);
comment on table quality.notices is
    'What people are to be told: once an opening and once a rise in severity, never twice';

create table quality.deliveries (
    delivery_id uuid primary key default gen_random_uuid(),
    channel text not null check (channel in ('mail', 'webhook')),
    message_id text not null unique,
    severity text not null,
    subject text not null,
    body text not null,
    made_at timestamptz not null default clock_timestamp(),
    attempts integer not null default 0,
    next_try_at timestamptz not null default clock_timestamp(),
    sent_at timestamptz,
    gave_up_at timestamptz,
    last_error text
);
create index on quality.deliveries (next_try_at) where sent_at is null and gave_up_at is null;
comment on table quality.deliveries is
    'The outbox: mails and webhooks as they are sent, made before the first attempt, so that'
    ' another attempt after a kill has the same message id and the same text';

create table quality.notice_deliveries (
    channel text not null,
    notice_id bigint not null references quality.notices,
    delivery_id uuid not null references quality.deliveries,
    primary key (channel, notice_id)
);
comment on table quality.notice_deliveries is 'Which message tells of which notice; one a channel';

-- What is legal, whoever asks --------------------------------------------------------------------------

create function quality.alert_is_legal() returns trigger language plpgsql as $$
begin
    if tg_op = 'INSERT' then
        if new.state <> 'open' or new.episode <> 1 then
            raise exception 'An alert begins open.' using errcode = 'CA001';
        end if;
        return new;
    end if;
    if (old.alert_id, old.cause, old.first_at) is distinct from (new.alert_id, new.cause, new.first_at)
    then
        raise exception 'An alert keeps its number and its cause.' using errcode = 'CA001';
    end if;
    if old.state <> new.state and (old.state, new.state) not in (
        ('open', 'acknowledged'), ('open', 'assigned'), ('open', 'resolved'),
        ('acknowledged', 'assigned'), ('acknowledged', 'resolved'),
        ('assigned', 'resolved'), ('resolved', 'open')
    ) then
        raise exception 'Alert % is %: it cannot become %.', old.alert_id, old.state, new.state
            using errcode = 'CA001';
    end if;
    if old.state = 'resolved' and new.state = 'open' then
        new.episode := old.episode + 1;
        new.opened_at := clock_timestamp();
        new.times := 1;
        new.acknowledged_at := null;
        new.acknowledged_by := null;
        new.assignee := null;
        new.resolved_at := null;
        new.resolved_by := null;
        new.reason := null;
        new.snoozed_until := null;
    elsif new.episode <> old.episode or new.opened_at <> old.opened_at then
        raise exception 'Alert % is counted anew only when it is re-opened.', old.alert_id
            using errcode = 'CA001';
    end if;
    return new;
end $$;

create trigger legal before insert or update on quality.alerts
for each row execute function quality.alert_is_legal();

create function quality.severity_rank(severity text) returns integer
language sql immutable as
$$ select array_position(array['info', 'warning', 'critical'], severity) $$;

create function quality.alert_changed() returns trigger language plpgsql as $$
declare
    before quality.alerts := case when tg_op = 'UPDATE' then old end;
    action text;
    occasion text;
begin
    action := case
        when tg_op = 'INSERT' then 'opened'
        when old.state = 'resolved' and new.state = 'open' then 're-opened'
        when old.state <> new.state then new.state
        when new.state = 'assigned' and old.assignee is distinct from new.assignee
            then 'assigned'
        when quality.severity_rank(new.severity) > quality.severity_rank(old.severity)
            then 'escalated'
        when old.snoozed_until is distinct from new.snoozed_until
            then case when new.snoozed_until is null then 'woken' else 'snoozed' end
    end;
    if action is null then
        return null;
    end if;
    insert into quality.alert_events (alert_id, who, action, from_state, to_state, note)
    values (
        new.alert_id, new.changed_by, action, before.state, new.state,
        concat_ws(
            '; ',
            case action
                when 'assigned' then 'to ' || new.assignee
                when 'resolved' then new.reason
                when 'snoozed' then 'until ' || to_char(
                    new.snoozed_until at time zone 'UTC', 'YYYY-MM-DD HH24:MI "UTC"'
                )
                when 'escalated' then before.severity || ' to ' || new.severity
            end,
            new.note
        )
    );
    if action in ('opened', 're-opened', 'escalated') then
        insert into quality.notices (alert_id, episode, severity, occasion)
        values (new.alert_id, new.episode, new.severity, action)
        on conflict do nothing;
    end if;
    return null;
end $$;

create trigger changed after insert or update on quality.alerts
for each row execute function quality.alert_changed();

create function quality.events_stay() returns trigger language plpgsql as $$
begin
    raise exception 'The record of alerts is only ever added to.' using errcode = 'CA001';
end $$;

create trigger stays before update or delete on quality.alert_events
for each row execute function quality.events_stay();
create trigger stays_whole before truncate on quality.alert_events
for each statement execute function quality.events_stay();

-- Acts of people -----------------------------------------------------------------------------------------

create function quality.move_alert(
    which bigint, act text, who text,
    because text default null, person text default null,
    why text default null, until timestamptz default null
) returns void language plpgsql as $$
declare
    alert quality.alerts;
    moment timestamptz := clock_timestamp();
begin
    select * into alert from quality.alerts where alert_id = which for update;
    if not found then
        raise exception 'There is no alert %.', which using errcode = 'CA001';
    end if;
    if coalesce(who, '') = '' then
        raise exception 'An act has someone who does it.' using errcode = 'CA001';
    end if;
    if act <> 'reopen' and alert.state = 'resolved' then
        raise exception 'Alert % is resolved: it cannot be changed unless it is re-opened.', which
            using errcode = 'CA001';
    end if;
    if act = 'acknowledge' then
        if alert.state <> 'open' then
            raise exception 'Alert % is % already.', which, alert.state using errcode = 'CA001';
        end if;
        update quality.alerts set state = 'acknowledged', acknowledged_by = who,
            acknowledged_at = moment, changed_by = who, note = because
        where alert_id = which;
    elsif act = 'assign' then
        perform from app.accounts
        where lower(email) = lower(person) and disabled_at is null
          and role in ('admin', 'librarian');
        if not found then
            raise exception 'No admin or librarian signs in as that.' using errcode = 'CA001';
        end if;
        update quality.alerts set state = 'assigned', assignee = lower(person),
            acknowledged_by = coalesce(acknowledged_by, who),
            acknowledged_at = coalesce(acknowledged_at, moment),
            changed_by = who, note = because
        where alert_id = which;
    elsif act = 'resolve' then
        if why is null or why not in ('fixed', 'accepted', 'false alarm', 'duplicate') then
            raise exception
                'A reason is one of: fixed, accepted, false alarm, duplicate.'
                using errcode = 'CA001';
        end if;
        update quality.alerts set state = 'resolved', reason = why, resolved_by = who,
            resolved_at = moment, changed_by = who, note = because
        where alert_id = which;
        update quality.alert_parts p set until = moment
        where p.alert_id = which and p.until is null;
    elsif act = 'reopen' then
        if alert.state <> 'resolved' then
            raise exception 'Alert % is % and so not to be re-opened.', which, alert.state
                using errcode = 'CA001';
        end if;
        update quality.alerts set state = 'open', changed_by = who, note = because
        where alert_id = which;
        update quality.alert_parts p set until = null, passes = 0
        where p.alert_id = which and p.until = alert.resolved_at;
    elsif act = 'snooze' then
        if until is null or until <= moment then
            raise exception 'An alert is snoozed until a time to come.' using errcode = 'CA001';
        end if;
        update quality.alerts set snoozed_until = until, changed_by = who, note = because
        where alert_id = which;
    elsif act = 'wake' then
        update quality.alerts set snoozed_until = null, changed_by = who, note = because
        where alert_id = which;
    else
        raise exception 'An act is one of: acknowledge, assign, resolve, reopen, snooze, wake.'
            using errcode = 'CA001';
    end if;
end $$;
comment on function quality.move_alert is 'An act on an alert, for the owner: `who` is said';

create function quality.act_on_alert(
    which bigint, act text,
    because text default null, person text default null,
    why text default null, until timestamptz default null
) returns void language plpgsql security definer set search_path = pg_catalog as $$
begin
    if app.viewer_role() is distinct from 'admin' then
        raise exception 'Alerts are acted on by admins.' using errcode = '42501';
    end if;
    perform quality.move_alert(
        which, act, app.viewer_user(), because, person, why, until
    );
end $$;
comment on function quality.act_on_alert is
    'An act on an alert, for pages: who does it is taken from the signed claim';

-- Rights ---------------------------------------------------------------------------------------------------

revoke all on all functions in schema quality from public;
grant execute on function quality.act_on_alert to :admin;
grant select on quality.alerts, quality.alert_parts, quality.alert_events to :admin, :librarian;
grant select (channel, severity, made_at, attempts, next_try_at, sent_at, gave_up_at, last_error)
    on quality.deliveries to :admin;
alter table quality.alerts enable row level security;
alter table quality.alert_parts enable row level security;
alter table quality.alert_events enable row level security;
alter table quality.deliveries enable row level security;
create policy staff_read on quality.alerts for select to :admin, :librarian
    using ((select app.viewer_role()) in ('admin', 'librarian'));
create policy staff_read on quality.alert_parts for select to :admin, :librarian
    using ((select app.viewer_role()) in ('admin', 'librarian'));
create policy staff_read on quality.alert_events for select to :admin, :librarian
    using ((select app.viewer_role()) in ('admin', 'librarian'));
create policy admin_reads on quality.deliveries for select to :admin
    using ((select app.viewer_role()) = 'admin');
