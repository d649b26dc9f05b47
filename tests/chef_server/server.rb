#!/usr/bin/env ruby
# A Chef server for tests, over TLS. It keeps clients and nodes in memory. The signature of every request
# is judged by Chef's own library (mixlib-authentication). Order, rights and words are those of Chef Infra
# Server (oc_erchef), or, without an organization, those of goiardi.
#
#   server.rb CERTIFICATE KEY ORGANIZATION|- OLDEST-VERSION NEWEST-VERSION VALIDATOR PUBLIC-KEY.pem
#
# It prints its port. Each line on standard input is a command, answered by one line:
#   delete clients|nodes NAME    what an administrator does
#   key NAME FILE                gives a client another public key
#   answer METHOD PATH FILE      answers the next such request with the bytes of the file; PATH without the
#                                organization
#   versions OLDEST NEWEST       an update of the server
#   log                          the requests so far, as JSON: [[status, method, path, user], ...]
#   show                         clients, and the owners of nodes, as JSON
require "json"
require "openssl"
require "securerandom"
require "socket"
require "time"
require "mixlib/authentication/signatureverification"

certificate, key, organization, oldest, newest, validator, validator_key = ARGV
GOIARDI = organization == "-"
ROOT = GOIARDI ? "" : "/organizations/#{organization}"
$versions = (oldest.to_i..newest.to_i)
LARGEST = 1_000_000
LOCK = Mutex.new
LOG = []
NODES = {}
SCRIPTED = {}

# A client has an id: rights belong to it, and not to a later client of the same name.
def client(name, public_key, validator: false)
  { id: SecureRandom.hex(8), name: name, public_key: public_key, validator: validator }
end

CLIENTS = { validator => client(validator, File.read(validator_key), validator: true) }

class Refused < StandardError
  attr_reader :status

  def initialize(status, words)
    @status = status
    super(words)
  end
end

Asked = Struct.new(:method, :path, :headers, :raw_post, :params) do
  # As the library wants a request: Rack's names.
  def env
    headers.to_h { |name, value| ["HTTP_#{name.upcase.tr("-", "_")}", value] }
  end
end

# What is wrong with the headers, before it is known who asks.
def check_headers(asked)
  names = %w[X-Ops-UserId X-Ops-Timestamp X-Ops-Sign X-Ops-Content-Hash]
  missing = names.reject { |name| asked.headers.key?(name.downcase) }
  unless missing.empty?
    raise Refused.new(400, "missing required authentication header(s) #{missing.map { |it| "'#{it}'" }.join(", ")}")
  end
  user = asked.headers["x-ops-userid"]
  off = (Time.now - Time.iso8601(asked.headers["x-ops-timestamp"])).abs
  return unless off > 900
  raise Refused.new(401, GOIARDI ? "Authentication failed. Please check your system's clock." :
                                   "Failed to authenticate as #{user}. Synchronize the clock on your host.")
end

# The client that signed, if the library agrees.
def authenticated(asked)
  user = asked.headers["x-ops-userid"]
  found = CLIENTS[user]
  unknown = GOIARDI ? "failed to verify authorization" :
    "Failed to authenticate as '#{user}'. Ensure that your node_name and client key are correct."
  raise Refused.new(401, unknown) unless found
  public_key = OpenSSL::PKey::RSA.new(found[:public_key])
  verifier = Mixlib::Authentication::SignatureVerification.new(asked)
  return found if verifier.authenticate_request(public_key)
  raise Refused.new(401, GOIARDI ? unknown : "Invalid signature for user or client '#{user}'")
end

def object(asked)
  raise Refused.new(413, "JSON must be no more than #{LARGEST} bytes.") if asked.raw_post.bytesize > LARGEST
  JSON.parse(asked.raw_post)
rescue JSON::ParserError
  raise Refused.new(400, "invalid JSON")
end

def shown(found, version)
  row = { "name" => found[:name], "clientname" => found[:name], "validator" => found[:validator],
          "json_class" => "Chef::ApiClient", "chef_type" => "client" }
  version.zero? ? row.merge("public_key" => found[:public_key]) : row
end

def clients(asked, name, version)
  if asked.method == "POST" && name.nil?
    body = object(asked)
    name = body["name"].to_s
    raise Refused.new(400, "Invalid client name '#{name}' using regex.") unless name.match?(/\A[.[:alnum:]_-]+\z/)
    public_key = body["public_key"] or raise Refused.new(400, "Field 'public_key' missing")
    raise Refused.new(400, "Public Key must be a valid key.") unless public_key.start_with?("-----BEGIN PUBLIC KEY-----")
    OpenSSL::PKey::RSA.new(public_key)
    raise Refused.new(403, "missing create permission") unless authenticated(asked)[:validator]
    raise Refused.new(409, "Client already exists") if CLIENTS.key?(name)
    CLIENTS[name] = client(name, public_key)
    return [201, { "uri" => "https://localhost#{ROOT}/clients/#{name}" }]
  end
  me = authenticated(asked)
  found = CLIENTS[name] or raise Refused.new(404, "Cannot load client #{name}")
  raise Refused.new(403, "missing read permission") if me[:validator] || me[:id] != found[:id]
  case asked.method
  when "GET" then [200, shown(found, version)]
  when "DELETE" then [200, shown(CLIENTS.delete(name), version)]
  else raise Refused.new(405, "method")
  end
end

def own_key(asked, name)
  body = object(asked)
  me = authenticated(asked)
  raise Refused.new(403, "missing update permission") unless me[:name] == name
  OpenSSL::PKey::RSA.new(body["public_key"])
  me[:public_key] = body["public_key"]
  [200, { "name" => "default", "public_key" => body["public_key"], "expiration_date" => "infinity" }]
end

def nodes(asked, name)
  body = object(asked) if %w[POST PUT].include?(asked.method)
  me = authenticated(asked)
  raise Refused.new(403, "missing create permission") if me[:validator]
  if asked.method == "POST"
    name = body.fetch("name")
    raise Refused.new(409, "Node already exists") if NODES.key?(name)
    filled = { "chef_environment" => "_default", "json_class" => "Chef::Node", "chef_type" => "node", "run_list" => [] }
    NODES[name] = { owner: me[:id], object: filled.merge(body) }
    return [201, { "uri" => "https://localhost#{ROOT}/nodes/#{name}" }]
  end
  found = NODES[name] or raise Refused.new(404, "node '#{name}' not found")
  return [200, found[:object]] if asked.method == "GET"
  raise Refused.new(403, "missing update permission") unless found[:owner] == me[:id]
  return [200, NODES.delete(name)[:object]] if asked.method == "DELETE"
  [200, found[:object] = body]
end

def answer(asked)
  if asked.path == "/server_api_version" && !GOIARDI
    return [200, { "min_api_version" => $versions.first, "max_api_version" => $versions.last }]
  end
  version = asked.headers.fetch("x-ops-server-api-version", "0").to_i
  unless $versions.include?(version)
    return [406, { "error" => "invalid-x-ops-server-api-version", "message" => "Specified version #{version} not supported",
                   "min_version" => $versions.first, "max_version" => $versions.last }]
  end
  check_headers(asked)
  unless asked.path.start_with?("#{ROOT}/")
    raise Refused.new(404, "organization '#{asked.path.split("/")[2]}' does not exist.")
  end
  kind, name, *rest = asked.path.delete_prefix("#{ROOT}/").split("/")
  case [kind, rest]
  when ["clients", []] then clients(asked, name, version)
  when ["clients", %w[keys default]] then own_key(asked, name)
  when ["nodes", []] then nodes(asked, name)
  else raise Refused.new(404, "no such path")
  end
rescue Refused => e
  [e.status, { "error" => e.status == 413 ? e.message : [e.message] }]
end

def serve(stream)
  method, target, = stream.gets.to_s.split
  return unless target
  headers = {}
  while (line = stream.gets.to_s.chomp) && !line.empty?
    name, value = line.split(":", 2)
    headers[name.downcase] = value.strip
  end
  asked = Asked.new(method, target, headers, stream.read(headers["content-length"].to_i), {})
  scripted = LOCK.synchronize { SCRIPTED.delete([method, target.delete_prefix(ROOT)]) }
  return stream.write(scripted) if scripted
  status, body = LOCK.synchronize do
    answer(asked).tap { |status, _| LOG << [status, method, target, headers["x-ops-userid"]] }
  end
  text = JSON.generate(body)
  stream.write("HTTP/1.1 #{status} Status\r\nDate: #{Time.now.httpdate}\r\nContent-Type: application/json\r\n" \
               "Content-Length: #{text.bytesize}\r\nConnection: close\r\n\r\n#{text}")
rescue StandardError => e
  warn "#{e.class}: #{e.message}"
ensure
  stream.close
end

def command(words)
  case words
  in ["delete", "clients", name] then CLIENTS.delete(name) ? "ok" : "none"
  in ["delete", "nodes", name] then NODES.delete(name) ? "ok" : "none"
  in ["key", name, file] then CLIENTS.fetch(name)[:public_key] = File.read(file) and "ok"
  in ["answer", method, path, file] then SCRIPTED[[method, path]] = File.binread(file) and "ok"
  in ["versions", oldest, newest] then ($versions = (oldest.to_i..newest.to_i)) && "ok"
  in ["log"] then JSON.generate(LOG)
  in ["show"]
    names = CLIENTS.values.to_h { |it| [it[:id], it[:name]] }
    JSON.generate("clients" => CLIENTS.transform_values { |it| it[:public_key] },
                  "nodes" => NODES.transform_values { |it| it[:object].merge("owner" => names[it[:owner]]) })
  end
end

context = OpenSSL::SSL::SSLContext.new
context.add_certificate(OpenSSL::X509::Certificate.new(File.read(certificate)), OpenSSL::PKey.read(File.read(key)))
tcp = TCPServer.new("127.0.0.1", 0)
server = OpenSSL::SSL::SSLServer.new(tcp, context)
Thread.new do
  loop do
    stream = server.accept
    Thread.new { serve(stream) }
  rescue OpenSSL::SSL::SSLError, SystemCallError => e
    warn e.message
  end
end
$stdout.sync = true
puts tcp.addr[1]
while (line = $stdin.gets)
  puts LOCK.synchronize { command(line.split) }
end
