using System.Buffers.Binary;
using System.Globalization;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Connections.Features;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using SignSvc.Access;
using SignSvc.Http;
using SignSvc.Signing;

namespace SignSvc.Kubernetes;

/// <summary>Who is on the other side of a connection of the Kubernetes socket, as the kernel says.</summary>
internal sealed record SocketPeer(uint Uid);

/// <summary>
/// The socket that kube-apiserver calls. It has no credentials: who may call is decided for each connection by the peer's
/// user id (unix(7), SO_PEERCRED), before a byte of it is read.
/// </summary>
internal static class KubernetesSocket
{
    private const int SolSocket = 1;
    private const int SoPeerCred = 17;

    /// <summary>struct ucred: pid, uid, gid.</summary>
    private const int UcredLength = 12;

    public static void Listen(KestrelServerOptions kestrel, Settings.KubernetesSettings settings, Action<ListenOptions> configure)
    {
        var allowed = settings.Uids ?? [OwnUid(), 0];
        var strangers = kestrel.ApplicationServices.GetRequiredService<StrangerLog>();
        kestrel.Listen(UnixSocket.Prepare(settings.Socket), listen =>
        {
            configure(listen);
            listen.Use(next => connection => AdmitAsync(connection, next, allowed, strangers));
        });
    }

    /// <summary>
    /// A socket file is its owner's alone. Where others are allowed by their uid the file lets everybody connect, and the
    /// check of the uid is what guards it.
    /// </summary>
    public static void OpenToAllowed(Settings.KubernetesSettings settings)
    {
        var own = OwnUid();
        if (settings.Socket.StartsWith('/') && settings.Uids is { } uids && uids.Any(u => u != own && u != 0))
        {
            const UnixFileMode readWrite = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.GroupRead
                | UnixFileMode.GroupWrite | UnixFileMode.OtherRead | UnixFileMode.OtherWrite;
            File.SetUnixFileMode(settings.Socket, readWrite);
        }
    }

    private static async Task AdmitAsync(
        ConnectionContext connection, ConnectionDelegate next, IReadOnlyList<uint> allowed, StrangerLog strangers)
    {
        if (PeerUid(connection) is { } uid && allowed.Contains(uid))
        {
            connection.Features.Set(new SocketPeer(uid));
            await next(connection);
            return;
        }

        var who = PeerUid(connection)?.ToString(CultureInfo.InvariantCulture) ?? "unknown";
        var refusal = new SigningException(SigningFault.Unauthenticated, $"The user id {who} may not call the Kubernetes socket.");
        await strangers.RecordAsync(refusal, "its user id is not allowed on this socket", $"unix:{who}", connection.ConnectionClosed);
        connection.Abort(new ConnectionAbortedException(refusal.Message));
    }

    private static uint? PeerUid(ConnectionContext connection)
    {
        if (connection.Features.Get<IConnectionSocketFeature>()?.Socket is not { } socket)
            return null;
        Span<byte> ucred = stackalloc byte[UcredLength];
        return socket.GetRawSocketOption(SolSocket, SoPeerCred, ucred) == UcredLength
            ? BinaryPrimitives.ReadUInt32LittleEndian(ucred[4..])
            : null;
    }

    /// <summary>The effective uid, as the kernel shows it.</summary>
    private static uint OwnUid()
    {
        var line = File.ReadLines("/proc/self/status").First(l => l.StartsWith("Uid:", StringComparison.Ordinal));
        return uint.Parse(line.Split('\t')[2], NumberStyles.None, CultureInfo.InvariantCulture);
    }
}
