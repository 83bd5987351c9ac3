package ai.djl.nestquant.checkpoint;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;

/** Files that are there completely or not at all. Stateless and safe for concurrent use. */
final class AtomicFiles {

    /** What files are called until they are complete. */
    static final String UNFINISHED = ".tmp";

    private static final int CHUNK = 1 << 20;

    private AtomicFiles() {}

    /** Writes a file's bytes to a channel. */
    interface Content {
        void writeTo(FileChannel out) throws IOException;
    }

    /** Writes under a temporary name, forces the bytes to the disk and renames. */
    static void write(Path file, Content content) throws IOException {
        Path unfinished = file.resolveSibling(file.getFileName() + UNFINISHED);
        try (FileChannel out =
                FileChannel.open(
                        unfinished,
                        StandardOpenOption.WRITE,
                        StandardOpenOption.CREATE,
                        StandardOpenOption.TRUNCATE_EXISTING)) {
            content.writeTo(out);
            out.force(true);
        }
        rename(unfinished, file);
    }

    static void write(Path file, String text) throws IOException {
        write(file, out -> out.write(ByteBuffer.wrap(text.getBytes(StandardCharsets.UTF_8))));
    }

    static void copy(Path source, Path target) throws IOException {
        try (FileChannel in = FileChannel.open(source, StandardOpenOption.READ)) {
            write(target, out -> transfer(in, 0, in.size(), out));
        }
    }

    /** Copies a range of a file to a channel's position. */
    static void transfer(FileChannel in, long position, long length, FileChannel out)
            throws IOException {
        long done = 0;
        while (done < length) {
            long n = in.transferTo(position + done, length - done, out);
            if (n <= 0) {
                throw new IOException("the file ended at offset " + (position + done));
            }
            done += n;
        }
    }

    /** Renames, replacing what is there, and forces the folder's entries to the disk. */
    static void rename(Path from, Path to) throws IOException {
        Files.move(from, to, StandardCopyOption.ATOMIC_MOVE);
        try (FileChannel folder =
                FileChannel.open(to.toAbsolutePath().getParent(), StandardOpenOption.READ)) {
            folder.force(true);
        } catch (IOException e) {
            // some systems cannot open folders; they keep the order of renames themselves
        }
    }

    /** Returns a file's SHA-256 in hexadecimal digits. */
    static String sha256(Path file) throws IOException {
        MessageDigest digest = newDigest();
        ByteBuffer buffer = ByteBuffer.allocate(CHUNK);
        try (FileChannel in = FileChannel.open(file, StandardOpenOption.READ)) {
            while (in.read(buffer) >= 0) {
                digest.update(buffer.flip());
                buffer.clear();
            }
        }
        return HexFormat.of().formatHex(digest.digest());
    }

    static String sha256(byte[] bytes) {
        return HexFormat.of().formatHex(newDigest().digest(bytes));
    }

    private static MessageDigest newDigest() {
        try {
            return MessageDigest.getInstance("SHA-256");
        } catch (NoSuchAlgorithmException e) {
            throw new AssertionError("every Java platform has SHA-256", e);
        }
    }
}
