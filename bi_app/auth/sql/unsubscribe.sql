-- End a subscription by the signed link of its mail; whose it was.
select app.unsubscribe(:number) as whose
