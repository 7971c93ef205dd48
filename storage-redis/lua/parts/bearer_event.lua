local now, clock, purged, epoch, b_tenant, b_client, b_credential, b_login, next_byte =
  unpack('>I6I6I6I6Bc0Bc0Bc0Bc0', ARGV[1])
