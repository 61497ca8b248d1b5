-- Which page a subscription mails; null where it was ended.
select app.subscription_page(:number) as page
