package redis

// workspacesKey is of no workspace, so it is written outside the script.
const workspacesKey = "cadreen:workspaces"

// keyPrefix begins every key of a workspace. A workspace name holds no brace,
// so the hash tag is the workspace whatever ids and index keys contain.
func keyPrefix(workspace string) string { return "cadreen:{" + workspace + "}:" }

// docPrefix is followed by the id.
func docPrefix(workspace, kind string) string { return keyPrefix(workspace) + "d:" + kind + ":" }

// indexPrefix is followed by name:key, which is also how a document names a
// position in its own fields (there with an 'i' before it).
func indexPrefix(workspace, kind string) string { return keyPrefix(workspace) + "i:" + kind + ":" }

func logKey(workspace, log string) string { return keyPrefix(workspace) + "l:" + log }

func tokenKey(workspace, token string) string { return keyPrefix(workspace) + "t:" + token }

func rateKey(workspace, name, key string) string {
	return keyPrefix(workspace) + "r:" + name + ":" + key
}

func channel(workspace string) string { return keyPrefix(workspace) + "w" }

const slots = 16384

// slot is the Cluster slot of a hash tag: CRC16 (polynomial 0x1021) modulo
// 16384, as the Redis Cluster specification defines it.
func slot(tag string) int {
	var crc uint16
	for i := range len(tag) {
		crc ^= uint16(tag[i]) << 8
		for range 8 {
			if crc&0x8000 != 0 {
				crc = crc<<1 ^ 0x1021
			} else {
				crc <<= 1
			}
		}
	}
	return int(crc) % slots
}
