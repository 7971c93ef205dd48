-- `Strength::at` of the strength @, at the instant of the event, under its new limit.
CASE
    WHEN @ = 9223372036854775807 THEN @
    WHEN @ > e_now THEN least(@, new_expires_at)
END
