-- A retry promises no less than the first try, nor does a refusal because of a write: it writes the
-- same again, on its own connection, for there is nothing else that WAIT would wait for.
call('SET', KEYS[$2], $1, 'KEEPTTL')
