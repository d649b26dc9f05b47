#!/usr/bin/env ruby
# frozen_string_literal: true

# What Ruby makes of what enlist writes, and what Chef's own library makes of its key.
#
#   judge.rb client-rb FILE                     the settings in it, as a JSON list of name and values
#   judge.rb instance-agent FILE                its members as JSON, once its key was loaded
#   judge.rb chef-loads FILE                    what chef-client goes by: FILE, then client.d beside it
#   judge.rb trusted-certs DIRECTORY PEM        verifies a certificate with what Chef reads of it
#   judge.rb psych                              of each line of standard input, as a YAML value: `same`
#                                               where Puppet would write it again as it stands
#   judge.rb puppet-csr FILE                    the extensions that Puppet asks for by this
#                                               csr_attributes.yaml; exit 1 where it refuses the file
#   judge.rb request PEM                        the extensions in a request, as Puppet reads them
#   judge.rb signature PRIVATE PUBLIC [CHANGE]  signs a request and verifies it, protocol 1.3; exit 1
#                                               where that fails. CHANGE: body, path or user, which
#                                               another one has by then
#
# Packages: ruby, ruby-mixlib-authentication, puppet-agent.
require "openssl" # before mixlib, which takes the class Digest for granted
require "json"

# As chef-client does it: every line is a call on an object. Whatever is called, Kernel's own
# methods too, is noted down and nothing else.
class Sandbox < BasicObject
  def initialize = @calls = []
  def method_missing(name, *arguments)
    @calls << [name, *arguments]
    self
  end
  def respond_to_missing?(*) = true
  def `(command) = method_missing(:`, command)
  def __calls = @calls
end

def client_rb(path)
  sandbox = Sandbox.new
  sandbox.instance_eval(File.read(path, encoding: "UTF-8"), path)
  puts JSON.generate(sandbox.__calls)
end

# Chef's order (its source, application/client.rb and mixin/dot_d.rb); the last one counts.
def chef_loads(path)
  later = Dir["#{File.dirname(path)}/client.d/*.rb"].select { |entry| File.file?(entry) }.sort
  settings = {}
  [path, *later].each do |file|
    from_string(settings, File.read(file, encoding: "UTF-8"), file)
  end
  puts JSON.generate(settings)
end

# A method of its own, as in Chef: `return` ends this file.
def from_string(settings, text, file) = ChefConfig.new(settings).instance_eval(text, file)

# As Chef's configuration does it: a name with an argument sets, without one gets.
class ChefConfig < BasicObject
  Config = ::Object.new
  def self.const_missing(name) = ::Object.const_get(name)
  def initialize(settings) = @settings = settings
  def method_missing(name, *arguments)
    name = name.to_s.delete_suffix("=")
    arguments.empty? ? @settings[name] : @settings[name] = arguments.first
  end
  def respond_to_missing?(*) = true
  def `(command) = command
  %i[raise throw exit abort].each { |name| define_method(name) { |*it| ::Kernel.send(name, *it) } }
end

# Of each file the first certificate (Chef's source, http/ssl_policies.rb).
def trusted_certs(directory, certificate)
  store = OpenSSL::X509::Store.new
  Dir["#{directory}/*.{crt,pem}"].sort.each do |file|
    store.add_cert(OpenSSL::X509::Certificate.new(File.read(file)))
  end
  leaf = OpenSSL::X509::Certificate.new(File.read(certificate))
  abort "it does not verify: #{store.error_string}" unless store.verify(leaf)
end

# As Puppet reads csr_attributes.yaml: the class Symbol is allowed, and aliases are.
def psych
  require "yaml"
  $stdin.each_line(chomp: true) do |line|
    value = YAML.safe_load("k: #{line}\n", permitted_classes: [Symbol], aliases: true)["k"]
    puts(!value.nil? && value.to_s == line ? "same" : "other")
  rescue Psych::Exception
    puts "other"
  end
end

def puppet_csr(path)
  require "puppet"
  Puppet::SSL::Oids.register_puppet_oids
  attributes = Puppet::SSL::CertificateRequestAttributes.new(path)
  attributes.load
  request = Puppet::SSL::CertificateRequest.new("n")
  request.generate(OpenSSL::PKey::RSA.new(2048), csr_attributes: attributes.custom_attributes,
                                                 extension_requests: attributes.extension_requests)
  puts JSON.generate(extensions(request))
rescue StandardError => e
  abort e.message
end

def request(path)
  require "puppet"
  Puppet::SSL::Oids.register_puppet_oids
  puts JSON.generate(extensions(Puppet::SSL::CertificateRequest.from_s(File.read(path))))
end

def extensions(request) = request.request_extensions.to_h { |it| [it["oid"], it["value"]] }

def instance_agent(path)
  require "yaml"
  members = YAML.safe_load(File.read(path), permitted_classes: [Symbol])
  key = OpenSSL::PKey::RSA.new(members.fetch(:instance_private_key))
  public_key = OpenSSL::PKey::RSA.new(members.fetch(:instance_public_key))
  abort "the private key is none" unless key.private?
  abort "the two keys are not a pair" unless key.n == public_key.n && key.e == public_key.e
  puts JSON.generate(members.transform_keys { |name| name.inspect })
end

# What the library asks of a request that came in.
Request = Struct.new(:env, :method, :path, :raw_post, :params)

def signature(private_path, public_path, change = nil)
  require "time"
  require "mixlib/authentication/signedheaderauth"
  require "mixlib/authentication/signatureverification"
  sent = { path: "/organizations/default/nodes/web", user: "web", body: '{"run_list":[]}' }
  signer = Mixlib::Authentication::SignedHeaderAuth.signing_object(
    http_method: "PUT", path: sent[:path], body: sent[:body], user_id: sent[:user],
    timestamp: Time.now.utc.iso8601, proto_version: "1.3",
    headers: { "x-ops-server-api-version" => "1" }
  )
  headers = signer.sign(OpenSSL::PKey::RSA.new(File.read(private_path)))
                  .merge("Host" => "chef-test.example", "X-Ops-Server-API-Version" => "1")
  sent[change.to_sym] += "x" if change
  headers = headers.merge("X-Ops-Userid" => sent[:user])
  env = headers.to_h { |name, value| ["HTTP_#{name.upcase.tr("-", "_")}", value] }
  received = Request.new(env, "PUT", sent[:path], sent[:body], {})
  key = OpenSSL::PKey::RSA.new(File.read(public_path))
  verified = Mixlib::Authentication::SignatureVerification.new(received).authenticate_request(key)
  abort "the signature does not verify" unless verified
  puts "#{env["HTTP_X_OPS_SIGN"]} verified for #{verified.name}"
end

case ARGV.shift
when "client-rb" then client_rb(*ARGV)
when "chef-loads" then chef_loads(*ARGV)
when "trusted-certs" then trusted_certs(*ARGV)
when "psych" then psych
when "puppet-csr" then puppet_csr(*ARGV)
when "request" then request(*ARGV)
when "instance-agent" then instance_agent(*ARGV)
when "signature" then signature(*ARGV)
else abort "usage: #{$PROGRAM_NAME} client-rb|chef-loads|trusted-certs|psych|puppet-csr|request|instance-agent|signature ..."
end
