-- People whose names stand in the records of alerts, to assign to.
select distinct person from (
    select assignee as person from quality.alerts
    union select acknowledged_by from quality.alerts
) known where person is not null order by 1
