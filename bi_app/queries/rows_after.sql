-- One page of a table by its key: the rows after the last one of the page before.
select {columns} from {table} where {where} order by {order} limit %(limit)s offset %(offset)s
