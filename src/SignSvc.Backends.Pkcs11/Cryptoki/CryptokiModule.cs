using System.Runtime.InteropServices;
using SignSvc.Signing;

namespace SignSvc.Backends.Pkcs11.Cryptoki;

/// <summary>
/// A PKCS#11 library in this process. C_Initialize counts for the whole process, so a library is loaded once however
/// often its path is configured, initialised once, and finalised when its last user has released it. It is never
/// unloaded: a thread may still hang inside it.
/// </summary>
internal sealed unsafe class CryptokiModule
{
    private static readonly Lock LoadGate = new();
    private static readonly Dictionary<string, CryptokiModule> Loaded = new(StringComparer.Ordinal);

    private readonly Lock _initializeGate = new();
    private readonly CK_FUNCTION_LIST* _functions;
    private readonly string? _initializationParameters;
    private readonly ModuleOccupancy _occupancy = new();
    private readonly Dictionary<nuint, CryptokiSession> _sessions = [];
    private bool _initialized;
    private bool _finalizeFailed;
    private int _users;

    private CryptokiModule(CK_FUNCTION_LIST* functions, string? initializationParameters)
    {
        _functions = functions;
        _initializationParameters = initializationParameters;
    }

    public CK_FUNCTION_LIST* Functions => _functions;

    /// <summary>Cryptoki's version as the function list states it.</summary>
    public CK_VERSION Version => _functions->version;

    /// <summary>Loads the library, or joins those that have. Each call has to be met by one <see cref="Release"/>.</summary>
    public static CryptokiModule Load(string path, string? initializationParameters)
    {
        var library = Resolve(path);
        lock (LoadGate)
        {
            if (!Loaded.TryGetValue(library, out var module))
            {
                module = new CryptokiModule(FunctionList(library), initializationParameters);
                Loaded.Add(library, module);
            }
            else if (!string.Equals(module._initializationParameters, initializationParameters, StringComparison.Ordinal))
            {
                throw new SigningException(
                    SigningFault.BackendFailed,
                    "The PKCS#11 module is configured twice in this process with different initialization parameters.");
            }

            module._users++;
            return module;
        }
    }

    /// <summary>Loads the library and asks for its functions, and calls none of them.</summary>
    /// <exception cref="SigningException">It is no PKCS#11 module.</exception>
    public static void Probe(string path) => FunctionList(Resolve(path));

    /// <param name="finalize">False where a thread may still be inside the module: C_Finalize would pull the floor away.</param>
    public void Release(bool finalize)
    {
        lock (LoadGate)
        {
            if (--_users > 0 || !finalize)
                return;
            lock (_initializeGate)
                FinalizeOnce();
        }
    }

    /// <summary>
    /// Calls C_Initialize unless this process has. The module must use the system's locks, since sessions run on
    /// threads of their own; one that cannot (CKR_CANT_LOCK) is refused, and so is one that other code in this process
    /// initialised, since nobody knows how. One that this process could not finalise is still as it was initialised here.
    /// </summary>
    public void Initialize()
    {
        lock (_initializeGate)
        {
            if (_initialized)
                return;
            // NSS keeps no copy of the parameters after C_Initialize; neither may a module by the standard.
            var parameters = _initializationParameters is null ? 0 : Marshal.StringToCoTaskMemUTF8(_initializationParameters);
            try
            {
                var args = new CK_C_INITIALIZE_ARGS { flags = CKF_OS_LOCKING_OK, pReserved = (byte*)parameters };
                var rv = _functions->C_Initialize(&args);
                if (rv != CKR_CRYPTOKI_ALREADY_INITIALIZED || !_finalizeFailed)
                    Check(rv, "C_Initialize");
                _initialized = true;
            }
            finally
            {
                Marshal.FreeCoTaskMem(parameters);
            }
        }
    }

    /// <summary>
    /// Finalises the module and initialises it again, for what it only looks for then: a token that came back in another
    /// shape, files that were moved. It ends every session in the process, so it is done only where no other is open.
    /// </summary>
    /// <returns>False where the module is in use, by another token say; nothing was done then.</returns>
    /// <exception cref="CryptokiException">C_Initialize failed: the next <see cref="Initialize"/> tries again.</exception>
    public bool TryInitializeAnew(TimeSpan patience)
    {
        lock (LoadGate)
        {
            // Another backend here may know of calls that are not counted as sessions.
            if (_users > 1)
                return false;
        }

        return _occupancy.TryAlone(patience, () =>
        {
            lock (_initializeGate)
                FinalizeOnce();
            Initialize();
        });
    }

    /// <summary>Around all that is done without a session of one's own.</summary>
    public T Visit<T>(Func<T> visit)
    {
        _occupancy.Enter();
        try
        {
            return visit();
        }
        finally
        {
            _occupancy.Leave();
        }
    }

    /// <summary>The module says CKR_CRYPTOKI_NOT_INITIALIZED: the next <see cref="Initialize"/> calls it again.</summary>
    public void ForgetInitialization()
    {
        lock (_initializeGate)
            _initialized = false;
    }

    public CK_INFO GetInfo()
    {
        CK_INFO info;
        Check(_functions->C_GetInfo(&info), "C_GetInfo");
        return info;
    }

    /// <summary>Slots with a token. Modules look for tokens that came or went when they are asked for the number.</summary>
    public nuint[] GetSlotList()
    {
        for (var attempt = 0; ; attempt++)
        {
            nuint count;
            Check(_functions->C_GetSlotList(1, null, &count), "C_GetSlotList");
            if (count > 4096)
                throw new SigningException(SigningFault.BackendFailed, "The PKCS#11 module lists more than 4,096 slots.");
            var slots = new nuint[count];
            CK_RV rv;
            fixed (nuint* p = slots)
                rv = count == 0 ? CKR_OK : _functions->C_GetSlotList(1, p, &count);
            // A token came between the two calls.
            if (rv == CKR_BUFFER_TOO_SMALL && attempt < 3)
                continue;
            Check(rv, "C_GetSlotList");
            return slots[..(int)Math.Min(count, (nuint)slots.Length)];
        }
    }

    public CK_SLOT_INFO GetSlotInfo(nuint slot)
    {
        CK_SLOT_INFO info;
        Check(_functions->C_GetSlotInfo(slot, &info), "C_GetSlotInfo");
        return info;
    }

    public CK_TOKEN_INFO GetTokenInfo(nuint slot)
    {
        CK_TOKEN_INFO info;
        Check(_functions->C_GetTokenInfo(slot, &info), "C_GetTokenInfo");
        return info;
    }

    public CK_MECHANISM_TYPE[] GetMechanismList(nuint slot)
    {
        nuint count;
        Check(_functions->C_GetMechanismList(slot, null, &count), "C_GetMechanismList");
        if (count > 4096)
            throw new SigningException(SigningFault.BackendFailed, "The token lists more than 4,096 mechanisms.");
        var mechanisms = new CK_MECHANISM_TYPE[count];
        fixed (CK_MECHANISM_TYPE* p = mechanisms)
            Check(_functions->C_GetMechanismList(slot, (nuint*)p, &count), "C_GetMechanismList");
        return mechanisms[..(int)Math.Min(count, (nuint)mechanisms.Length)];
    }

    public CK_MECHANISM_INFO GetMechanismInfo(nuint slot, CK_MECHANISM_TYPE mechanism)
    {
        CK_MECHANISM_INFO info;
        Check(_functions->C_GetMechanismInfo(slot, (nuint)mechanism, &info), "C_GetMechanismInfo");
        return info;
    }

    public CryptokiSession OpenSession(nuint slot, bool writable) => Visit(() => Open(slot, writable));

    /// <summary>A session's owner has closed it, or has learnt that it is gone, and is inside it no more.</summary>
    internal void SessionClosed() => _occupancy.SessionClosed();

    private CryptokiSession Open(nuint slot, bool writable)
    {
        nuint handle;
        var flags = CKF_SERIAL_SESSION | (writable ? CKF_RW_SESSION : 0);
        Check(_functions->C_OpenSession(slot, flags, null, null, &handle), "C_OpenSession");
        var session = new CryptokiSession(this, handle);
        _occupancy.SessionOpened();
        lock (_sessions)
        {
            if (_sessions.TryGetValue(handle, out var former))
                former.Usurp();
            _sessions[handle] = session;
        }

        return session;
    }

    /// <returns>False where the number belongs to another session by now, which must not be closed in its place.</returns>
    internal bool Forget(CryptokiSession session)
    {
        lock (_sessions)
            return !session.IsUsurped && _sessions.Remove(session.Handle);
    }

    /// <summary>Under the gate. What it answers is of interest to the next C_Initialize alone.</summary>
    private void FinalizeOnce()
    {
        if (_initialized)
            _finalizeFailed = _functions->C_Finalize(null) is not (CKR_OK or CKR_CRYPTOKI_NOT_INITIALIZED);
        _initialized = false;
    }

    internal static void Check(CK_RV rv, string function)
    {
        if (rv != CKR_OK)
            throw new CryptokiException(function, rv);
    }

    private static string Resolve(string path) => OperatingSystem.IsWindows() || sizeof(nuint) != 8
        ? throw new SigningException(SigningFault.Unsupported, "PKCS#11 modules are supported on 64-bit Unix only.")
        : File.ResolveLinkTarget(path, returnFinalTarget: true)?.FullName ?? Path.GetFullPath(path);

    /// <summary>The list of the default "PKCS 11" interface where the library is a 3.x one, else C_GetFunctionList's.</summary>
    private static CK_FUNCTION_LIST* FunctionList(string library)
    {
        nint handle;
        try
        {
            handle = NativeLibrary.Load(library);
        }
        catch (Exception e) when (e is DllNotFoundException or BadImageFormatException)
        {
            throw new SigningException(SigningFault.BackendFailed, $"The PKCS#11 module {library} cannot be loaded: {e.Message}", e);
        }

        CK_FUNCTION_LIST* functions = null;
        if (NativeLibrary.TryGetExport(handle, "C_GetInterface", out var getInterface))
        {
            CK_INTERFACE* found = null;
            fixed (byte* name = "PKCS 11\0"u8)
            {
                var rv = ((delegate* unmanaged[Cdecl]<byte*, CK_VERSION*, CK_INTERFACE**, nuint, CK_RV>)getInterface)(name, null, &found, 0);
                if (rv == CKR_OK && found is not null)
                    functions = found->pFunctionList;
            }
        }

        if (functions is null && NativeLibrary.TryGetExport(handle, "C_GetFunctionList", out var getFunctionList))
            Check(((delegate* unmanaged[Cdecl]<CK_FUNCTION_LIST**, CK_RV>)getFunctionList)(&functions), "C_GetFunctionList");
        if (functions is null || functions->version.major is < 2 or > 3)
            throw new SigningException(SigningFault.BackendFailed, $"The library {library} is not a PKCS#11 module of version 2 or 3.");
        return functions;
    }
}
