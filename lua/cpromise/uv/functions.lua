--- What each function of luv does with a callback: the one list of them.
---
--- A *request* calls back once, with an error or results. An *event* function
--- calls back whenever something happens, until it is stopped. *Special* ones
--- are told apart where they are made. All others are *plain*: they take no
--- callback that the loop calls.

---@class cpromise.uv.Request
---@field at integer  which argument the callback is
---@field tells string[]  arguments that an error tells, by position
---@field waits boolean?  a cancelled call ends when luv has ended: it uses a
---  descriptor, which may be closed next, or changes what others may change
---@field dispose string?  the function that closes what came too late
---@field handle boolean?  its first argument is one, which may be closed
---@field data boolean?  its second is data; an empty list of strings would
---  end the process
---@field lasting boolean?  is not to be cancelled: it gives something back

---@class cpromise.uv.EventFunction
---@field at integer  which argument the callback is
---@field stop string?  the function that ends it
---@field error boolean?  the first thing called back is an error
---@field pull boolean?  loses nothing while it is stopped, so it runs only
---  while somebody waits
---@field ends boolean?  calls back with nothing at the end
---@field path boolean?  its second argument is a path, which an error tells

local functions = {}

local path, two = {"path"}, {"path", "new_path"}
local none = {}

-- Looks at a path.
local function look(at)
  return {at = at, tells = path}
end

-- Changes what is at a path.
local function change(at)
  return {at = at, tells = path, waits = true}
end

-- Makes one path from another.
local function move(at)
  return {at = at, tells = two, waits = true}
end

-- Uses a descriptor.
local function use(at)
  return {at = at, tells = none, waits = true}
end

-- Uses a handle, whose owner closes it.
local function link(at, tells)
  return {at = at, tells = tells or none, handle = true}
end

-- The same, and sends data.
local function send(at, tells)
  return {at = at, tells = tells or none, handle = true, data = true}
end

---@type table<string, cpromise.uv.Request>
functions.requests = {
  fs_access = look(3), fs_stat = look(2), fs_lstat = look(2),
  fs_statfs = look(2), fs_readlink = look(2), fs_realpath = look(2),
  fs_scandir = look(2),

  fs_open = {at = 4, tells = path, dispose = "fs_close"},
  fs_mkstemp = {at = 2, tells = path, dispose = "fs_close"},
  fs_opendir = {at = 2, tells = path, dispose = "fs_closedir"},
  fs_close = {at = 2, tells = none, waits = true, lasting = true},
  fs_closedir = {at = 2, tells = none, waits = true, lasting = true},

  fs_read = use(4), fs_write = use(4), fs_fstat = use(2), fs_fsync = use(2),
  fs_fdatasync = use(2), fs_ftruncate = use(3), fs_sendfile = use(5),
  fs_fchmod = use(3), fs_fchown = use(4), fs_futime = use(4),
  fs_readdir = use(2),

  fs_unlink = change(2), fs_mkdir = change(3), fs_rmdir = change(2),
  fs_mkdtemp = change(2), fs_chmod = change(3), fs_chown = change(4),
  fs_lchown = change(4), fs_utime = change(4), fs_lutime = change(4),

  fs_rename = move(3), fs_link = move(3), fs_symlink = move(4),
  fs_copyfile = move(4),

  getaddrinfo = {at = 4, tells = {"host", "port"}},
  getnameinfo = {at = 2, tells = none},
  random = {at = 3, tells = none},

  tcp_connect = link(4, {nil, "host", "port"}),
  pipe_connect = link(3, {nil, "path"}),
  pipe_connect2 = link(4, {nil, "path"}),
  shutdown = link(2),
  write = send(3), write2 = send(4),
  udp_send = send(5, {nil, nil, "host", "port"}),
}

---@type table<string, cpromise.uv.EventFunction>
functions.events = {
  read_start =
    {at = 2, stop = "read_stop", error = true, pull = true, ends = true},
  udp_recv_start =
    {at = 2, stop = "udp_recv_stop", error = true, pull = true},
  poll_start = {at = 3, stop = "poll_stop", error = true, pull = true},
  fs_event_start =
    {at = 4, stop = "fs_event_stop", error = true, path = true},
  fs_poll_start =
    {at = 4, stop = "fs_poll_stop", error = true, path = true},
  signal_start = {at = 3, stop = "signal_stop"},
  signal_start_oneshot = {at = 3, stop = "signal_stop"},
  timer_start = {at = 4, stop = "timer_stop"},
  idle_start = {at = 2, stop = "idle_stop", pull = true},
  check_start = {at = 2, stop = "check_stop", pull = true},
  prepare_start = {at = 2, stop = "prepare_stop", pull = true},
}

local function names(text)
  local set = {}
  for name in text:gmatch "%S+" do set[name] = true end
  return set
end

---@type table<string, true>
functions.special = names [[
  close listen new_async new_work queue_work sleep spawn tcp_close_reset
  walk
]]

---@type table<string, true>
functions.plain = names [[
  accept async_send available_parallelism backend_fd backend_timeout cancel
  chdir check_stop clock_gettime cpu_info cpumask_size cwd
  disable_stdio_inheritance exepath fileno fs_event_getpath fs_event_stop
  fs_poll_getpath fs_poll_stop fs_scandir_next get_available_memory
  get_constrained_memory get_free_memory get_process_title get_total_memory
  getgid getpid getrusage getrusage_thread gettimeofday getuid guess_handle
  handle_get_type has_ref hrtime idle_stop if_indextoiid if_indextoname
  interface_addresses is_active is_closing is_readable is_writable kill
  loadavg loop_alive loop_close loop_configure loop_mode metrics_idle_time
  metrics_info new_check new_fs_event new_fs_poll new_idle new_pipe new_poll
  new_prepare new_sem new_signal new_socket_poll new_tcp new_thread new_timer
  new_tty new_udp now os_environ os_get_passwd os_getenv os_gethostname
  os_getpid os_getppid os_getpriority os_homedir os_setenv os_setpriority
  os_tmpdir os_uname os_unsetenv pipe pipe_bind pipe_bind2 pipe_chmod
  pipe_getpeername pipe_getsockname pipe_open pipe_pending_count
  pipe_pending_instances pipe_pending_type poll_stop prepare_stop
  print_active_handles print_all_handles process_get_pid process_kill
  read_stop recv_buffer_size ref req_get_type resident_set_memory run
  sem_post sem_trywait sem_wait send_buffer_size set_process_title setgid
  setuid signal_stop socketpair stop stream_get_write_queue_size
  stream_set_blocking tcp_bind tcp_getpeername
  tcp_getsockname tcp_keepalive tcp_nodelay tcp_open
  tcp_simultaneous_accepts tcp_write_queue_size thread_detach thread_equal
  thread_getaffinity thread_getcpu thread_getname thread_getpriority
  thread_join thread_self thread_setaffinity thread_setname
  thread_setpriority timer_again timer_get_due_in timer_get_repeat
  timer_set_repeat timer_stop translate_sys_error try_write try_write2
  tty_get_vterm_state tty_get_winsize tty_reset_mode tty_set_mode
  tty_set_vterm_state udp_bind udp_connect udp_get_send_queue_count
  udp_get_send_queue_size udp_getpeername udp_getsockname udp_open
  udp_recv_stop udp_set_broadcast udp_set_membership
  udp_set_multicast_interface udp_set_multicast_loop udp_set_multicast_ttl
  udp_set_source_membership udp_set_ttl udp_try_send udp_try_send2 unref
  update_time uptime utf16_length_as_wtf8 utf16_to_wtf8 version
  version_string wtf8_length_as_utf16 wtf8_to_utf16
]]

return functions
