using System.Runtime.InteropServices;
using SignSvc.Backends.Pkcs11;

namespace SignSvc.Backends.Tests.Pkcs11;

/// <summary>
/// A module of its own for each test: <c>faulty.c</c>, compiled once, and copied, in front of a copy of SoftHSM2's
/// library. Copies are separate libraries with separate state, so that tests do not meet in them.
/// </summary>
internal sealed class FaultyModule
{
    // Positions in CK_FUNCTION_LIST.
    public const int Finalize = 1;
    public const int GetSlotList = 4;
    public const int GetTokenInfo = 6;
    public const int OpenSession = 12;
    public const int Login = 18;
    public const int DestroyObject = 22;
    public const int Decrypt = 34;
    public const int SignInit = 42;
    public const int Sign = 43;
    public const int GenerateKeyPair = 59;
    public const int UnwrapKey = 61;

    private const string InstallCompiler = "apt-get install -y gcc libc6-dev";

    private readonly nint _library;

    private FaultyModule(string path)
    {
        Path = path;
        _library = NativeLibrary.Load(path);
    }

    public string Path { get; }

    public unsafe uint Injected => ((delegate* unmanaged[Cdecl]<uint>)Export("faulty_injected"))();

    public unsafe int Sessions => ((delegate* unmanaged[Cdecl]<int>)Export("faulty_sessions"))();

    public static async Task<FaultyModule> BuildAsync()
    {
        var folder = System.IO.Path.Combine(await SoftHsm.FolderAsync(), System.IO.Path.GetRandomFileName());
        Directory.CreateDirectory(folder);
        var real = System.IO.Path.Combine(folder, "real.so");
        var path = System.IO.Path.Combine(folder, "faulty.so");
        File.Copy(SoftHsm.Module, real);
        await Programs.RunAsync(
            InstallCompiler, "gcc", "-shared", "-fPIC", "-O1", $"-DREAL_MODULE=\"{real}\"", "-o", path,
            System.IO.Path.Combine(AppContext.BaseDirectory, "Pkcs11", "faulty.c"), "-ldl", "-lpthread");
        return new FaultyModule(path);
    }

    /// <summary>A backend over one token through this module.</summary>
    public async Task<Pkcs11Options> OptionsAsync(params string[] labels)
    {
        var options = await SoftHsm.OptionsAsync(labels);
        options.ModulePath = Path;
        return options;
    }

    public unsafe void Fail(int function, ulong rv, int count) =>
        ((delegate* unmanaged[Cdecl]<int, nuint, int, void>)Export("faulty_fail"))(function, (nuint)rv, count);

    /// <summary>Lets so many calls through before it fails.</summary>
    public unsafe void FailAfter(int function, int passed, ulong rv, int count) =>
        ((delegate* unmanaged[Cdecl]<int, int, nuint, int, void>)Export("faulty_fail_after"))(function, passed, (nuint)rv, count);

    /// <summary>CK_TOKEN_INFO.flags that every token shows besides its own.</summary>
    public unsafe void ShowTokenFlags(ulong flags) => ((delegate* unmanaged[Cdecl]<nuint, void>)Export("faulty_token_flags"))((nuint)flags);

    /// <summary>Sessions go on, but show no objects: as SoftHSM2 does when its folder is moved away.</summary>
    public void HideObjects(bool hidden) => Call("faulty_hide", hidden ? 1 : 0);

    /// <summary>They stay hidden until somebody calls C_Initialize.</summary>
    public void ShowObjectsOnceInitialised() => Call("faulty_hide", 2);

    public void FailAtRandom(int perMille) => Call("faulty_random", perMille);

    public void Hang(int function) => Call("faulty_hang", function);

    public void StopHanging() => Call("faulty_hang", -1);

    public void Pull() => Call("faulty_pull", 1);

    public void PutBack() => Call("faulty_pull", 0);

    public void DelaySignatures(int microseconds) => Call("faulty_delay", microseconds);

    public void LimitSessions(int most) => Call("faulty_limit_sessions", most);

    public unsafe void Evict(ulong session) => ((delegate* unmanaged[Cdecl]<nuint, void>)Export("faulty_evict"))((nuint)session);

    public unsafe void LogOut() => ((delegate* unmanaged[Cdecl]<void>)Export("faulty_logout"))();

    /// <summary>Holds every call back and finalises the real module, so that other programs can work on its tokens.</summary>
    public unsafe void StopCalls() => ((delegate* unmanaged[Cdecl]<void>)Export("faulty_stop_calls"))();

    public unsafe void GoOn() => ((delegate* unmanaged[Cdecl]<void>)Export("faulty_go_on"))();

    public unsafe uint Calls(int function) => ((delegate* unmanaged[Cdecl]<int, uint>)Export("faulty_calls"))(function);

    private unsafe void Call(string export, int argument) => ((delegate* unmanaged[Cdecl]<int, void>)Export(export))(argument);

    private nint Export(string name) => NativeLibrary.GetExport(_library, name);
}
