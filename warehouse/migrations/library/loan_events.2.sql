-- Returns know how many days they were overdue.
alter table "silver"."library_loan_events" add column "overdue_days" integer;
comment on column "silver"."library_loan_events"."overdue_days" is 'Days that a copy came back after its due day, 0 when in time; null for other events';
