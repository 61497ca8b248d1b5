-- End a subscription: one's own, or for an admin any.
delete from app.subscriptions where subscription_id = %(number)s returning subscription_id
