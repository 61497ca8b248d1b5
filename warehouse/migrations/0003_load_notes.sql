-- What a load left aside on purpose, such as columns that the spec does not name.

alter table ops.loads add column note text;
comment on column ops.loads.note is 'What was left aside on purpose, such as unknown columns';
