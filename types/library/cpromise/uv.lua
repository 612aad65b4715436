---@meta cpromise.uv

--- luv with promises: an optional module, for luv 1.44 and newer.
---
--- ```lua
--- local Promise = require "cpromise"
--- local uv = require "cpromise.uv"
--- local await = Promise.await
---
--- Promise.run(function()
---   local server <close> = await(uv.listen("127.0.0.1", 0, function(stream)
---     for line in stream:lines() do await(stream:write(line:upper() .. "\n")) end
---   end))
---
---   local stream <close> = await(uv.connect("localhost", server.port))
---   await(stream:write "hello\n")
---   print(await(stream:read_until "\n"))
---
---   print(await(uv.run_process("tr", {"a-z", "A-Z"}, {stdin = "world"})).stdout)
---   print(Promise.pawait(uv.fs_open("no such file", "r", 0)))
--- end)
--- ```
---
--- ```text
--- HELLO	true
--- WORLD
--- false	ENOENT: no such file or directory: no such file (fs_open)
--- ```
---
--- **All of luv.** Each function of luv that takes a callback is here under its
--- own name, without the callback: one that calls back once returns a promise,
--- one that calls back again and again returns `cpromise.uv.Events`. All other
--- functions, and `constants`, are luv's: those of a newer luv that are not
--- known here, too. A function that is given a callback all the same is luv's,
--- as well. So the module can stand in for luv.
---
--- **Failures** are tables of the class `cpromise.uv.Error`. What the system
--- refuses rejects, or is raised where no promise is returned. A wrong argument
--- raises at the line of the caller, before anything has begun.
---
--- **Cancelling** a promise cancels the request, where libuv can do that. What
--- uses a descriptor, or changes the file system, has ended when the cancelled
--- promise settles; cancelled a second time, it is left at once. What is opened
--- for nobody is closed again: descriptors, connections, processes. What is read
--- is taken in the turn of who gets it, so a cancelled read loses no byte.
---
--- **Closing.** Files, streams, sockets, servers and processes are closed at the
--- end of a block by `local x <close> = ...`, which waits till that is done.
--- They are not closed by the garbage collector.
---
--- **SIGPIPE** is caught while the module is loaded: a write to what nobody reads
--- any more fails with "EPIPE", and doesn't end the process.
---
--- Times are seconds, except in luv's own functions, where they are what luv
--- has: milliseconds.
---@class cpromise.uv
local uv = {}


-- Failures -------------------------------------------------------------------

--- Why something failed. `tostring` gives code, message, subject and call:
--- "ENOENT: no such file or directory: name (fs_open)".
---@class cpromise.uv.Error
---@field code string  libuv's name of the error: "ENOENT", "ECONNREFUSED", "EAI_NONAME"; "ERROR" of a function in a thread
---@field message string
---@field call string  the function that failed
---@field path? string  what it was about
---@field new_path? string  of `fs_rename`, `fs_link`, `fs_symlink`, `fs_copyfile`
---@field host? string
---@field port? integer
---@field traceback? string  of `work`


-- Files ----------------------------------------------------------------------

---@class cpromise.uv.File
local file = {}

--- Open a file. The mode is one of `io.open`'s ("r" by default; a "b" has no
--- effect), or one with "x", as "wx": the file must not exist.
---@param path string
---@param mode? string
---@param permissions? integer  of a new file, less what the umask takes (438: all may read and write)
---@return cpromise.Promise<cpromise.uv.File>
---@nodiscard
function uv.open(path, mode, permissions) end

--- The next bytes: `n` of them, or fewer at the end of the file; without `n`, as
--- many as come. Nil at the end. One may read at a time; a second call rejects
--- with "EBUSY".
---@param n? integer  at least 1
---@return cpromise.Promise<string?>
---@nodiscard
function file:read(n) end

--- The next bytes, as many as have come, but no more than `n`.
---@param n integer  at least 1
---@return cpromise.Promise<string?>
---@nodiscard
function file:read_some(n) end

--- What stands before the delimiter, and true; or what is left at the end, and
--- false; or nil. Rejects with "EMSGSIZE", and takes nothing, if that is longer
--- than the limit.
---@param delimiter string  plain text
---@param limit? integer  in bytes (none)
---@return cpromise.Promise<string?> # of a string and a boolean, or nil
---@nodiscard
function file:read_until(delimiter, limit) end

--- All that is left.
---@param limit? integer  rejects with "EMSGSIZE" if it is more
---@return cpromise.Promise<string>
---@nodiscard
function file:read_all(limit) end

--- For a loop that awaits: each line, without its end.
---@param limit? integer  in bytes: raises "EMSGSIZE" for a longer line (none)
---@return async fun(): string?
---@nodiscard
function file:lines(limit) end

--- For a loop that awaits: the bytes as they come, or `n` at a time.
---@param n? integer
---@return async fun(): string?
---@nodiscard
function file:chunks(n) end

--- `n` bytes at an offset, or fewer; nil at the end. Other reads don't notice.
---@param n integer
---@param offset integer
---@return cpromise.Promise<string?>
---@nodiscard
function file:read_at(n, offset) end

--- Write all. One may write at a time; a second call rejects with "EBUSY".
---@param data string|string[]
---@return cpromise.Promise<any>
function file:write(data) end

--- Write all, at an offset.
---@param data string|string[]
---@param offset integer
---@return cpromise.Promise<any>
function file:write_at(data, offset) end

--- What luv's `fs_fstat` gives.
---@return cpromise.Promise<table>
---@nodiscard
function file:stat() end

--- Fulfilled when what was written is on the disk.
---@return cpromise.Promise<any>
function file:sync() end

--- Make the file that long.
---@param size integer
---@return cpromise.Promise<any>
function file:truncate(size) end

--- The descriptor; nil when it is closed.
---@return integer?
---@nodiscard
function file:fileno() end

--- Close it, when what is under way has ended. Who waits for bytes gets
--- "EBADF". A second call waits for the same.
---@return cpromise.Promise<any>
function file:close() end

--- All that is in a file.
---@param path string
---@return cpromise.Promise<string>
---@nodiscard
function uv.read_file(path) end

---@class cpromise.uv.WriteOptions
---@field atomic? boolean  whoever reads it sees the old content or the new one, also after a crash: it is written to a file beside, which is renamed. A link is followed, permissions are kept; a device or a pipe is not replaced ("EINVAL")
---@field sync? boolean  fulfilled when it is on the disk (as `atomic` always is)
---@field mode? integer  permissions of a new file (438)

--- Make this the content of a file. Cancelled, or failed, it leaves a part of it,
--- or with `atomic` the old content, and no other file.
---@param path string
---@param data string|string[]
---@param options? cpromise.uv.WriteOptions
---@return cpromise.Promise<any>
function uv.write_file(path, data, options) end

--- Add to the end of a file, which is made if need be.
---@param path string
---@param data string|string[]
---@param options? cpromise.uv.WriteOptions  without `atomic`
---@return cpromise.Promise<any>
function uv.append_file(path, data, options) end


-- Folders --------------------------------------------------------------------

--- For a loop that awaits: each name in a folder, sorted, and what it is:
--- "file", "directory", "link", "fifo", "socket", "char", "block", "unknown".
---@param path string
---@return async fun(): string?, string
---@nodiscard
function uv.scandir(path) end

---@class cpromise.uv.WalkOptions
---@field depth? integer  how deep it goes; 1: only what is in the folder itself
---@field on_error? fun(failure: cpromise.uv.Error)  called for a folder that can't be read; without it, that is raised

--- For a loop that awaits: all that is below a folder, a folder before what is
--- in it: path, kind and depth. Links are not followed. A few folders are read
--- in advance.
---
--- A function as argument makes this luv's `walk`, over all handles.
---@param path string
---@param options? cpromise.uv.WalkOptions
---@return async fun(): string?, string, integer
---@return table state
---@nodiscard
function uv.walk(path, options) end

--- Make a folder, and those above it that are missing. Fulfilled if it is there.
---@param path string
---@param mode? integer  permissions, less what the umask takes (511)
---@return cpromise.Promise<any>
function uv.mkdir_p(path, mode) end

--- Remove a file, a link, or a folder with all that is in it. Links are removed,
--- and never followed.
---@param path string
---@return cpromise.Promise<any>
function uv.remove_tree(path) end

--- A folder that is removed when it is closed.
---@class cpromise.uv.TemporaryDirectory
---@field path string
local temporary = {}

--- Make a folder with a name of its own.
---@param prefix? string  what its path begins with (the system's folder for that)
---@return cpromise.Promise<cpromise.uv.TemporaryDirectory>
---@nodiscard
function uv.temporary_directory(prefix) end

--- Remove it, with all that is in it.
---@return cpromise.Promise<any>
function temporary:close() end

--- Changes of a file, or of what is in a folder: events of a name, and "rename"
--- (made, moved or removed) or "change". Raises a failure if there is nothing.
---@param path string
---@return cpromise.uv.Events
---@nodiscard
function uv.watch(path) end


-- Streams --------------------------------------------------------------------

--- A TCP connection, a pipe, or a terminal.
---
--- It reads while somebody waits, and no more than 64 KiB ahead (nothing of a
--- terminal). After a failure it gives the bytes that came before.
---@class cpromise.uv.Stream
---@field handle userdata  luv's
local stream = {}

--- Connect to a port of a host. Its addresses are tried in turn, one of each
--- family after the other: the next one begins when the last has failed, or
--- after a quarter of a second; the first to connect counts. Without a port,
--- connect to the path of a pipe (a Unix socket).
---@param host string  name or address; or the path
---@param port? integer
---@return cpromise.Promise<cpromise.uv.Stream>
---@nodiscard
function uv.connect(host, port) end

--- A stream on a handle of luv, or on a descriptor: 0 is standard input. Raises
--- a failure for a descriptor that is no stream.
---@param handle userdata|integer
---@return cpromise.uv.Stream
---@nodiscard
function uv.stream(handle) end

--- The next bytes: `n` of them, or fewer at the end; without `n`, as many as
--- come. Nil at the end. One may read at a time; a second call rejects with
--- "EBUSY".
---@param n? integer  at least 1
---@return cpromise.Promise<string?>
---@nodiscard
function stream:read(n) end

--- The next bytes, as many as have come, but no more than `n`.
---@param n integer  at least 1
---@return cpromise.Promise<string?>
---@nodiscard
function stream:read_some(n) end

--- What stands before the delimiter, and true; or what is left at the end, and
--- false; or nil. Rejects with "EMSGSIZE", and takes nothing, if that is longer
--- than the limit.
---@param delimiter string  plain text
---@param limit? integer  in bytes (1 MiB)
---@return cpromise.Promise<string?> # of a string and a boolean, or nil
---@nodiscard
function stream:read_until(delimiter, limit) end

--- All that comes until the end.
---@param limit? integer  rejects with "EMSGSIZE" if it is more (none)
---@return cpromise.Promise<string>
---@nodiscard
function stream:read_all(limit) end

--- For a loop that awaits: each line, without its end.
---@param limit? integer  in bytes: raises "EMSGSIZE" for a longer line (1 MiB)
---@return async fun(): string?
---@nodiscard
function stream:lines(limit) end

--- For a loop that awaits: the bytes as they come, or `n` at a time.
---@param n? integer
---@return async fun(): string?
---@nodiscard
function stream:chunks(n) end

--- Fulfilled when the other side has ended, or failed, or this one is closed.
--- Nothing is taken; to see the end it reads ahead as far as it may.
---@return cpromise.Promise<any>
---@nodiscard
function stream:ended() end

--- Write all. Fulfilled when the system has taken it: to await that keeps a fast
--- writer from filling the memory. One may write at a time; a second call rejects
--- with "EBUSY". What a cancelled call was given is sent all the same.
---@param data string|string[]
---@return cpromise.Promise<any>
function stream:write(data) end

--- Let the other side see the end. Reading goes on.
---@return cpromise.Promise<any>
function stream:shutdown() end

--- Close both ways. Who reads gets "EBADF", who writes "ECANCELED". A second call
--- waits for the same.
---@return cpromise.Promise<any>
function stream:close() end

--- Whether it has been closed on this side.
---@return boolean
---@nodiscard
function stream:is_closed() end

--- The address of the other side: of a connection a table with `ip`, `port` and
--- `family`; of a pipe its path.
---@return table|string
---@nodiscard
function stream:getpeername() end

--- The address of this side.
---@return table|string
---@nodiscard
function stream:getsockname() end

--- Read one and write to the other, till the first has come to its end. Neither
--- is closed.
---@param from cpromise.uv.Stream|cpromise.uv.File
---@param to cpromise.uv.Stream|cpromise.uv.File
---@return cpromise.Promise<integer> # of the number of bytes
function uv.pipe_through(from, to) end


-- Servers --------------------------------------------------------------------

---@class cpromise.uv.Server
---@field port? integer  where it listens, unless that is a pipe
local server = {}

---@class cpromise.uv.ListenOptions
---@field backlog? integer  how many may wait to be accepted (511)
---@field limit? integer  how many connections may be open at once; more wait
---@field on_error? fun(reason: any, stream: cpromise.uv.Stream?)  called with what a connection failed with; without it, that is reported as a rejection that nobody handles

--- Listen at a port, or at the path of a pipe: `uv.listen(path, handler)`. For
--- each connection `handler(stream, scope)` runs as an async call: when it and
--- all in its scope have ended, the stream is closed. An error in it ends
--- that connection only.
---
--- A handle as first argument makes this luv's `listen`: events of
--- connections to accept.
---@overload fun(path: string, handler: async fun(stream: cpromise.uv.Stream, scope: cpromise.Scope), options?: cpromise.uv.ListenOptions): cpromise.Promise<cpromise.uv.Server>
---@overload fun(handle: userdata, backlog: integer): cpromise.uv.Events
---@param host string
---@param port integer  0: any that is free
---@param handler async fun(stream: cpromise.uv.Stream, scope: cpromise.Scope)
---@param options? cpromise.uv.ListenOptions
---@return cpromise.Promise<cpromise.uv.Server>
---@nodiscard
function uv.listen(host, port, handler, options) end

--- Accept no more. Fulfilled when all connections have ended. So does the end of
--- a block; if an error leaves that, the connections are cancelled.
---@return cpromise.Promise<any>
function server:close() end

--- Accept no more, and cancel the connections. Fulfilled when they have ended.
---@param reason? any
---@return cpromise.Promise<any>
function server:cancel(reason) end

--- Fulfilled when the server has been closed or cancelled, and all connections
--- have ended.
---@return cpromise.Promise<any>
---@nodiscard
function server:wait() end

--- How many connections are open.
---@return integer
---@nodiscard
function server:connected() end

--- Where it listens: of a port a table, of a pipe its path.
---@return table|string
---@nodiscard
function server:getsockname() end


-- Datagrams ------------------------------------------------------------------

---@class cpromise.uv.Udp
local udp = {}

--- A UDP socket, bound to a port of a host if that is given.
---@param host? string
---@param port? integer  0: any that is free
---@return cpromise.Promise<cpromise.uv.Udp>
---@nodiscard
function uv.udp(host, port) end

--- The next datagram: its data, the address that it came from (`ip`, `port`,
--- `family`), and whether a part of it was lost. One may wait at a time; a second
--- call rejects with "EBUSY".
---@return cpromise.Promise<string> # of a string, a table and a boolean
---@nodiscard
function udp:receive() end

--- Send a datagram. Without an address it goes to that given to `connect`.
---@param data string|string[]
---@param host? string
---@param port? integer
---@return cpromise.Promise<any>
function udp:send(data, host, port) end

--- Exchange datagrams with that address only.
---@param host string
---@param port integer
---@return cpromise.Promise<any>
function udp:connect(host, port) end

--- The address of this side: a table with `ip`, `port` and `family`.
---@return table
---@nodiscard
function udp:getsockname() end

--- Close it. Who waits for a datagram gets "EBADF".
---@return cpromise.Promise<any>
function udp:close() end


-- Processes and signals ------------------------------------------------------

---@class cpromise.uv.KillOptions
---@field signal? string  what asks it to end ("sigterm")
---@field grace? number  seconds, after which it gets SIGKILL (2)
---@field group? boolean  true: it and all that it starts get the signals (false: only it)

---@class cpromise.uv.ProcessOptions
---@field stdin? any  a stream, a file or a descriptor of this program; false: nothing; true: a pipe
---@field stdout? any
---@field stderr? any
---@field env? table<string, string|false>  changes of the environment; false takes a variable out
---@field cwd? string
---@field kill? cpromise.uv.KillOptions
---@field timeout? number  of `run_process`: seconds

---@class cpromise.uv.ProcessResult
---@field code integer  exit code
---@field signal integer  that ended it, or 0
---@field stdout? string  if it was collected
---@field stderr? string

--- Run a program until it has ended and its output is complete. `stdin` may be a
--- string, which it gets to read (by default nothing); its output is collected,
--- unless `stdout` and `stderr` say otherwise. A program that can't be started
--- rejects; one that ends with a code other than 0 doesn't.
---
--- Cancelled, it is asked to end and killed if it doesn't, and the promise
--- settles when it has. After `timeout` seconds the same happens, and the promise
--- rejects with a `cpromise.Timeout`, whose `reason` is the result so far. What
--- the program has started in its turn goes on, unless `kill` has `group`.
---@param command string
---@param args? string[]
---@param options? cpromise.uv.ProcessOptions
---@return cpromise.Promise<cpromise.uv.ProcessResult>
---@nodiscard
function uv.run_process(command, args, options) end

--- A program that runs. At the end of a block it is stopped, and its streams are
--- closed.
---@class cpromise.uv.Process
---@field pid integer
---@field stdin? cpromise.uv.Stream  if the option was true
---@field stdout? cpromise.uv.Stream
---@field stderr? cpromise.uv.Stream
local process = {}

--- Start a program. By default it has the standard streams of this one.
---@param command string
---@param args? string[]
---@param options? cpromise.uv.ProcessOptions
---@return cpromise.Promise<cpromise.uv.Process>
---@nodiscard
function uv.start_process(command, args, options) end

--- Fulfilled with exit code and signal when it has ended.
---@return cpromise.Promise<integer> # of two integers
---@nodiscard
function process:wait() end

--- Send a signal. Returns whether there was somebody to get it.
---@param signal? string  as "sigterm", which is the default
---@return boolean
function process:kill(signal) end

--- Ask it to end, and kill it if it doesn't, as the option `kill` says.
---@return cpromise.Promise<integer> # of exit code and signal
function process:stop() end

--- A signal, each time it comes to this program, as events of its name. As long
--- as they are not stopped, the signal does nothing else, and keeps the loop
--- alive: Ctrl-C ("int") doesn't cancel what `Promise.main` runs.
---@param name string  as "sigterm", "SIGTERM" or "term"
---@return cpromise.uv.Events
---@nodiscard
function uv.signal(name) end


-- Threads --------------------------------------------------------------------

--- Call `fn(...)` in another thread, which has a Lua state of its own. Arguments
--- and results are nil, booleans, numbers and strings, as many as you like. It
--- has its own globals, `require` finds what it finds here, and it can have no
--- upvalues: raises if it has.
---
--- An error in it rejects, with the code "ERROR", its message and its
--- `traceback`. Cancelled, it runs to its end, for nobody.
---@param fn fun(...): ...: any
---@param ... nil|boolean|number|string
---@return cpromise.Promise<any>
---@nodiscard
function uv.work(fn, ...) end

---@class cpromise.uv.Work
local work = {}

--- The same in two steps: a function to be called in other threads.
---@param fn fun(...): ...: any
---@return cpromise.uv.Work
---@nodiscard
function uv.new_work(fn) end

--- Call it there.
---@param ... nil|boolean|number|string
---@return cpromise.Promise<any>
---@nodiscard
function work:queue(...) end

--- The same as `work:queue(...)`.
---@param work cpromise.uv.Work
---@param ... nil|boolean|number|string
---@return cpromise.Promise<any>
---@nodiscard
function uv.queue_work(work, ...) end


-- Events ---------------------------------------------------------------------

--- What happens again and again. What nobody has taken yet is kept, each kind
--- once; so the memory that takes is bounded. It can be read by a generic `for`,
--- with an await in each turn, which ends when it is stopped:
---
---     local changes <close> = uv.watch(".")
---     for name, change in changes do print(name, change) end
---
--- An event without a value is `true` there. At the end of the block it is
--- stopped, as the variable says `<close>`. Without that it goes on after the
--- loop was left, by `break` or a cancellation, and keeps the program alive.
---@class cpromise.uv.Events
---@overload async fun(): ...: any
local events = {}

--- The values of the next event; none when it has been stopped. One may wait at
--- a time; a second call rejects with "EBUSY".
---@return cpromise.Promise<any>
---@nodiscard
function events:receive() end

--- Listen no more. Handles of the program's own stay open.
function events:stop() end

--- The first time that a function calls back: calls `start(handle, ..., callback)`
--- and gives what the callback gets. If it is one of luv's that says an error
--- first, that rejects. What was started is stopped then, and when the promise is
--- cancelled, if luv or a method `stop` of the handle can do that.
---
---     await(uv.once(timer, "start", 100, 0))
---@param handle any
---@param start string|fun(handle: any, ...)  a name is that of a method, or of a function of luv
---@param ... any
---@return cpromise.Promise<any>
---@nodiscard
function uv.once(handle, start, ...) end

--- luv's, of handles that the program has made: what comes, till the end.
---@param stream userdata
---@return cpromise.uv.Events # of strings
---@nodiscard
function uv.read_start(stream) end

---@param udp userdata
---@return cpromise.uv.Events # of data, address and flags
---@nodiscard
function uv.udp_recv_start(udp) end

---@param poll userdata
---@param events? string  as "r", "w", "rw"
---@return cpromise.uv.Events # of what it is ready for
---@nodiscard
function uv.poll_start(poll, events) end

---@param handle userdata
---@param path string
---@param flags table
---@return cpromise.uv.Events # of a name and a table
---@nodiscard
function uv.fs_event_start(handle, path, flags) end

---@param handle userdata
---@param path string
---@param interval integer  milliseconds
---@return cpromise.uv.Events # of what `fs_stat` gave before and now
---@nodiscard
function uv.fs_poll_start(handle, path, interval) end

---@param handle userdata
---@param signal string|integer
---@return cpromise.uv.Events # of the signal's name
---@nodiscard
function uv.signal_start(handle, signal) end

---@param handle userdata
---@param signal string|integer
---@return cpromise.uv.Events # of the signal's name
---@nodiscard
function uv.signal_start_oneshot(handle, signal) end

---@param timer userdata
---@param timeout integer  milliseconds
---@param interval integer  milliseconds, 0: once
---@return cpromise.uv.Events
---@nodiscard
function uv.timer_start(timer, timeout, interval) end

---@param idle userdata
---@return cpromise.uv.Events
---@nodiscard
function uv.idle_start(idle) end

---@param check userdata
---@return cpromise.uv.Events
---@nodiscard
function uv.check_start(check) end

---@param prepare userdata
---@return cpromise.uv.Events
---@nodiscard
function uv.prepare_start(prepare) end

--- luv's: the handle, and what is sent to it. Stopped, it is closed.
---@return userdata handle
---@return cpromise.uv.Events
function uv.new_async() end


-- luv's functions that call back once ----------------------------------------
-- What they take and give is told in luv's own documentation.

--- Fulfilled when the handle has been closed.
---@param handle userdata
---@return cpromise.Promise<any>
function uv.close(handle) end

--- The same, with a reset for the other side.
---@param tcp userdata
---@return cpromise.Promise<any>
function uv.tcp_close_reset(tcp) end

--- A promise of exit code and signal; the handle, which closes itself, and the
--- pid. Cancelled, the process gets SIGTERM, and the promise settles when it has
--- ended.
---@param path string
---@param options table
---@return cpromise.Promise<integer> exited
---@return userdata handle
---@return integer pid
function uv.spawn(path, options) end

--- Fulfilled after so many milliseconds. (`Promise.delay` takes seconds.)
---@param milliseconds integer
---@return cpromise.Promise<any>
function uv.sleep(milliseconds) end

---@param path string
---@param mode string|integer
---@return cpromise.Promise<boolean>
---@nodiscard
function uv.fs_access(path, mode) end

---@param path string
---@param mode integer
---@return cpromise.Promise<any>
function uv.fs_chmod(path, mode) end

---@param path string
---@param uid integer
---@param gid integer
---@return cpromise.Promise<any>
function uv.fs_chown(path, uid, gid) end

---@param fd integer
---@return cpromise.Promise<any>
function uv.fs_close(fd) end

---@param dir userdata
---@return cpromise.Promise<any>
function uv.fs_closedir(dir) end

---@param path string
---@param new_path string
---@param flags? table|integer
---@return cpromise.Promise<any>
function uv.fs_copyfile(path, new_path, flags) end

---@param fd integer
---@param mode integer
---@return cpromise.Promise<any>
function uv.fs_fchmod(fd, mode) end

---@param fd integer
---@param uid integer
---@param gid integer
---@return cpromise.Promise<any>
function uv.fs_fchown(fd, uid, gid) end

---@param fd integer
---@return cpromise.Promise<any>
function uv.fs_fdatasync(fd) end

---@param fd integer
---@return cpromise.Promise<table>
---@nodiscard
function uv.fs_fstat(fd) end

---@param fd integer
---@return cpromise.Promise<any>
function uv.fs_fsync(fd) end

---@param fd integer
---@param size integer
---@return cpromise.Promise<any>
function uv.fs_ftruncate(fd, size) end

---@param fd integer
---@param atime number
---@param mtime number
---@return cpromise.Promise<any>
function uv.fs_futime(fd, atime, mtime) end

---@param path string
---@param uid integer
---@param gid integer
---@return cpromise.Promise<any>
function uv.fs_lchown(path, uid, gid) end

---@param path string
---@param new_path string
---@return cpromise.Promise<any>
function uv.fs_link(path, new_path) end

---@param path string
---@return cpromise.Promise<table>
---@nodiscard
function uv.fs_lstat(path) end

---@param path string
---@param atime number
---@param mtime number
---@return cpromise.Promise<any>
function uv.fs_lutime(path, atime, mtime) end

---@param path string
---@param mode integer
---@return cpromise.Promise<any>
function uv.fs_mkdir(path, mode) end

---@param template string  ends with "XXXXXX"
---@return cpromise.Promise<string> # of a path
---@nodiscard
function uv.fs_mkdtemp(template) end

---@param template string  ends with "XXXXXX"
---@return cpromise.Promise<integer> # of a descriptor and a path
---@nodiscard
function uv.fs_mkstemp(template) end

---@param path string
---@param flags string|integer
---@param mode integer
---@return cpromise.Promise<integer> # of a descriptor
---@nodiscard
function uv.fs_open(path, flags, mode) end

---@param path string
---@param entries? integer  how many `fs_readdir` gives at once (1)
---@return cpromise.Promise<userdata> # of a handle for `fs_readdir`
---@nodiscard
function uv.fs_opendir(path, entries) end

---@param fd integer
---@param size integer
---@param offset? integer
---@return cpromise.Promise<string> # of a string, empty at the end
---@nodiscard
function uv.fs_read(fd, size, offset) end

---@param dir userdata
---@return cpromise.Promise<table[]?> # of a list of tables, or nil at the end
---@nodiscard
function uv.fs_readdir(dir) end

---@param path string
---@return cpromise.Promise<string> # of a path
---@nodiscard
function uv.fs_readlink(path) end

---@param path string
---@return cpromise.Promise<string> # of a path
---@nodiscard
function uv.fs_realpath(path) end

---@param path string
---@param new_path string
---@return cpromise.Promise<any>
function uv.fs_rename(path, new_path) end

---@param path string
---@return cpromise.Promise<any>
function uv.fs_rmdir(path) end

---@param path string
---@return cpromise.Promise<userdata> # of what `fs_scandir_next` takes
---@nodiscard
function uv.fs_scandir(path) end

---@param out_fd integer
---@param in_fd integer
---@param offset integer
---@param size integer
---@return cpromise.Promise<integer> # of the number of bytes
function uv.fs_sendfile(out_fd, in_fd, offset, size) end

---@param path string
---@return cpromise.Promise<table>
---@nodiscard
function uv.fs_stat(path) end

---@param path string
---@return cpromise.Promise<table>
---@nodiscard
function uv.fs_statfs(path) end

---@param path string
---@param new_path string
---@param flags? table|integer
---@return cpromise.Promise<any>
function uv.fs_symlink(path, new_path, flags) end

---@param path string
---@return cpromise.Promise<any>
function uv.fs_unlink(path) end

---@param path string
---@param atime number
---@param mtime number
---@return cpromise.Promise<any>
function uv.fs_utime(path, atime, mtime) end

---@param fd integer
---@param data string|string[]
---@param offset? integer
---@return cpromise.Promise<integer> # of the number of bytes
function uv.fs_write(fd, data, offset) end

---@param host? string
---@param service? string
---@param hints? table
---@return cpromise.Promise<table[]> # of a list of tables
---@nodiscard
function uv.getaddrinfo(host, service, hints) end

---@param address table
---@return cpromise.Promise<string> # of host and service
---@nodiscard
function uv.getnameinfo(address) end

---@param pipe userdata
---@param path string
---@return cpromise.Promise<any>
function uv.pipe_connect(pipe, path) end

--- In luv 1.46 and newer.
---@param pipe userdata
---@param path string
---@param flags? table|integer
---@return cpromise.Promise<any>
function uv.pipe_connect2(pipe, path, flags) end

---@param size integer
---@param flags? nil
---@return cpromise.Promise<string>
---@nodiscard
function uv.random(size, flags) end

---@param stream userdata
---@return cpromise.Promise<any>
function uv.shutdown(stream) end

---@param tcp userdata
---@param address string
---@param port integer
---@return cpromise.Promise<any>
function uv.tcp_connect(tcp, address, port) end

---@param udp userdata
---@param data string|string[]
---@param address? string
---@param port? integer
---@return cpromise.Promise<any>
function uv.udp_send(udp, data, address, port) end

---@param stream userdata
---@param data string|string[]
---@return cpromise.Promise<any>
function uv.write(stream, data) end

---@param stream userdata
---@param data string|string[]
---@param handle userdata  to be sent
---@return cpromise.Promise<any>
function uv.write2(stream, data, handle) end

return uv
